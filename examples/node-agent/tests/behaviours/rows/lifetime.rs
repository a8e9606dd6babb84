//! How long pods live, and that their statuses do not lie about it.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::restart::agent_acts;
use crate::script::DEAF;
use crate::table::{Row, row};
use crate::world::{World, container, ended, is_over, is_ready, phase};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            43,
            "the active deadline of a pod can be updated",
            Any,
            deadline
        ),
        row!(44, "a deletion's grace is kept", Any, deletion_grace),
        row!(
            44,
            "a shorter grace counts though the pod is being ended",
            Any,
            grace_shrinks
        ),
        row!(
            44,
            "success is never told of a container that did not run",
            Any,
            never_success
        ),
        row!(
            44,
            "there is no other sandbox once all containers are done",
            Any,
            one_sandbox
        ),
    ]
}

async fn deadline(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    world.ready("p").await?;
    let patch = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 2}}));
    world
        .api::<Pod>()
        .patch("p", &PatchParams::default(), &patch)
        .await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    let reason = pod.status.as_ref().and_then(|status| status.reason.clone());
    ensure!(phase(&pod) == "Failed" && reason.as_deref() == Some("DeadlineExceeded"));
    Ok(())
}

/// A container that does not end by itself, with more grace than anything is waited for.
fn deaf() -> serde_json::Value {
    json!({"terminationGracePeriodSeconds": 600, "containers": [{"command": ["sh", "-c", DEAF]}]})
}

async fn deletion_grace(world: World) -> Result<()> {
    world.pod("p", deaf()).await?;
    world.listen("p", &["main"]).await?;
    let began = Instant::now();
    let mut code = None;
    let watched = world.watch("p", "nothing", |pod| {
        code = ended(pod, "main").map(|(code, ..)| code).or(code);
        Ok(false)
    });
    let (watched, deleted) = tokio::join!(watched, world.delete("p", Some(3)));
    deleted?;
    // It ends with the pod.
    ensure!(watched.is_err());
    world.gone("p").await?;
    let took = began.elapsed();
    ensure!(took > Duration::from_secs_f64(2.5), "{took:?}");
    ensure!(code == Some(137), "{code:?}");
    Ok(())
}

async fn grace_shrinks(world: World) -> Result<()> {
    world.pod("p", deaf()).await?;
    world.listen("p", &["main"]).await?;
    world.delete("p", Some(500)).await?;
    world
        .until("p", "it is being ended", |pod| {
            pod.metadata.deletion_timestamp.is_some()
        })
        .await?;
    world.delete("p", Some(1)).await?;
    world.gone("p").await
}

/// Pods are deleted while they are being started; none of them may say that it succeeded.
async fn never_success(world: World) -> Result<()> {
    let pods = (0..12).map(|index| never_succeeds(&world, index));
    try_join_all(pods).await?;
    Ok(())
}

/// The pod of an index, which is deleted the later the higher that is.
async fn never_succeeds(world: &World, index: u64) -> Result<()> {
    let name = format!("p-{index}");
    let spec = json!({"restartPolicy": "Never", "containers": [{"command": ["false"]}]});
    world.pod(&name, spec).await?;
    tokio::time::sleep(Duration::from_millis(index * 100)).await;
    world.delete(&name, None).await?;
    let watched = world.watch(&name, "nothing", |pod| {
        if let Some((code, _, _)) = ended(pod, "main") {
            ensure!(
                code != 0,
                "success was told of a container that always fails"
            );
        }
        ensure!(
            phase(pod) != "Succeeded",
            "success was told of a pod that always fails"
        );
        Ok(false)
    });
    match watched.await {
        Err(error) if error.to_string().contains("success was told") => bail!(error),
        _ => world.gone(&name).await,
    }
}

async fn one_sandbox(world: World) -> Result<()> {
    world.script("p", "true").await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded" && !is_ready(&pod));
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    ensure!(container(&pod, "main").is_some());
    let before = world.node.sandboxes(&uid).await?;
    // It is looked at once more, and another pod comes and runs meanwhile.
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"changed": "yes"}}}));
    world
        .api::<Pod>()
        .patch("p", &PatchParams::default(), &patch)
        .await?;
    agent_acts(&world).await?;
    // What there was may have been collected.
    let after = world.node.sandboxes(&uid).await?;
    let is_known = |id: &String| before.contains(id);
    ensure!(
        after.iter().all(is_known),
        "{after:?} were {before:?} before"
    );
    Ok(())
}
