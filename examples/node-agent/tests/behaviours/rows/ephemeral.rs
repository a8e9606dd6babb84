//! Containers that are added to a pod which runs.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::json;

use crate::table::{Row, row};
use crate::world::{IMAGE, World, container, ended, is_running, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            47,
            "an ephemeral container is started in a pod that runs",
            Any,
            started
        ),
        row!(
            47,
            "another ephemeral container joins the first, which is not started again",
            Any,
            another
        ),
    ]
}

/// Adds an ephemeral container to the pod.
async fn add(world: &World, name: &str, script: &str) -> Result<()> {
    let container = json!({"name": name, "image": IMAGE, "command": ["sh", "-c", script]});
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}));
    world
        .api::<Pod>()
        .patch_ephemeral_containers("p", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn started(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    let before = world.ready("p").await?;
    add(&world, "debugger", "echo polo; exec sleep 1000").await?;
    world.printed("p", "debugger", "polo").await?;
    let runs = |pod: &Pod| {
        let state = container(pod, "debugger").and_then(|status| status.state.as_ref());
        state.is_some_and(|state| state.running.is_some())
    };
    let pod = world.until("p", "the debugger runs", runs).await?;
    let id = |pod: &Pod| container(pod, "main").and_then(|status| status.container_id.clone());
    ensure!(restarts(&pod, "main") == 0 && id(&pod) == id(&before));
    Ok(())
}

async fn another(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    world.ready("p").await?;
    add(&world, "first", "echo marco").await?;
    world
        .until("p", "the first has ended", |pod| {
            ended(pod, "first").is_some()
        })
        .await?;
    add(&world, "second", "echo polo; exec sleep 1000").await?;
    world.printed("p", "second", "polo").await?;
    let pod = world
        .until("p", "the second runs", |pod| is_running(pod, "second"))
        .await?;
    ensure!(ended(&pod, "first").is_some_and(|(code, ..)| code == 0));
    ensure!(restarts(&pod, "first") == 0 && is_running(&pod, "main"));
    Ok(())
}
