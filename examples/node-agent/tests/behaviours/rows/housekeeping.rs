//! What is kept of what has ended, and for how long.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::table::{Row, row};
use crate::world::{World, eventually, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(53, "the log of a container is rotated", Any, rotation),
        row!(
            53,
            "one dead container is kept of each that was restarted",
            Any,
            dead_containers
        ),
        row!(53, "logs are where people look for them", Any, log_path),
        row!(
            53,
            "nothing is kept of a pod that is gone",
            Any,
            nothing_is_kept
        ),
    ]
}

/// Where a pod's logs are.
fn directory(world: &World, pod: &Pod) -> std::path::PathBuf {
    let metadata = &pod.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    world
        .node
        .logs_dir()
        .join(format!("{}_{name}_{uid}", world.namespace))
}

async fn rotation(world: World) -> Result<()> {
    // Much more than the node's limit for one file, and never an end.
    let script = "line=$(head -c 1000 /dev/zero | tr '\\0' x); i=0; \
         while :; do echo $line; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.1; done";
    world
        .pod(
            "p",
            json!({"containers": [{"command": ["sh", "-c", script]}]}),
        )
        .await?;
    let pod = world.ready("p").await?;
    let logs = directory(&world, &pod).join("main");
    let names = || -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&logs).context("the directory of its logs")?;
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().into_string());
        Ok(names.flatten().collect())
    };
    let compressed = async || {
        let names: BTreeSet<String> = names()?.into_iter().collect();
        // What is being compressed is there twice, under one more name.
        let counts =
            |name: &&String| !name.ends_with(".tmp") && !names.contains(&format!("{name}.gz"));
        let kept = names.iter().filter(counts).count();
        ensure!(kept <= 5, "{names:?}");
        let mut compressed = names.iter();
        // The oldest comes first.
        Ok(compressed
            .find(|name| name.starts_with("0.log.") && name.ends_with(".gz"))
            .cloned())
    };
    let seen = async {
        let first = eventually("the log was rotated and compressed", compressed).await?;
        eventually("the oldest file has gone", async || {
            Ok(compressed().await?.filter(|oldest| *oldest > first))
        })
        .await
    };
    seen.await.with_context(|| format!("{:?}", names()))?;
    Ok(())
}

async fn dead_containers(world: World) -> Result<()> {
    let main = json!({"command": ["sh", "-c", "sleep 0.1; exit 1"]});
    world.pod("p", json!({"containers": [main]})).await?;
    let pod = world
        .until("p", "it was restarted", |pod| restarts(pod, "main") >= 3)
        .await?;
    let uid = pod.metadata.uid.context("it has a uid")?;
    eventually("one dead container is kept", async || {
        Ok((world.node.dead_containers(&uid).await? <= 1).then_some(()))
    })
    .await?;
    world.delete("p", Some(0)).await
}

async fn log_path(world: World) -> Result<()> {
    world
        .pod(
            "p",
            json!({"containers": [{"command": ["sh", "-c", "echo here; exec sleep 1000"]}]}),
        )
        .await?;
    let pod = world.ready("p").await?;
    let log = directory(&world, &pod).join("main/0.log");
    eventually("the line is in the file", async || {
        let content = std::fs::read_to_string(&log).unwrap_or_default();
        Ok(content.ends_with(" stdout F here\n").then_some(()))
    })
    .await
}

async fn nothing_is_kept(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    let pod = world.ready("p").await?;
    let uid = pod.metadata.uid.clone().context("it has a uid")?;
    world.delete("p", None).await?;
    world.gone("p").await?;
    eventually("nothing is left in the runtime", async || {
        Ok(world.node.sandboxes(&uid).await?.is_empty().then_some(()))
    })
    .await?;
    eventually("nothing is left on disk", async || {
        let files = world.node.root_dir().join("pods").join(&uid);
        let logs = directory(&world, &pod);
        Ok((!files.exists() && !logs.exists()).then_some(()))
    })
    .await
}
