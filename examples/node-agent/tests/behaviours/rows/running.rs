//! Pods run, print, and go.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::table::{Row, row};
use crate::world::{World, is_over, is_ready, phase, restarts, waits_for};

/// The image whose entry point is `echo image`, and whose command is `default`.
const ECHO: &str = "localhost/echo:1";

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(1, "what a command prints is in the logs", Any, prints),
        row!(
            2,
            "a pod is submitted and removed",
            Any,
            submitted_and_removed
        ),
        row!(3, "a pod gets a host IP", Any, host_ip),
        row!(
            4,
            "without command and args the image's are used",
            Any,
            image_defaults
        ),
        row!(5, "args replace the image's command", Any, args),
        row!(
            6,
            "a command replaces the image's entry point",
            Any,
            command
        ),
        row!(7, "command and args replace both", Any, command_and_args),
        row!(
            10,
            "a pod whose container always fails can be deleted",
            Any,
            failing_is_deleted
        ),
    ]
}

async fn prints(world: World) -> Result<()> {
    let printed = world.output("printer", "echo Hello World").await?;
    ensure!(printed == "Hello World\n", "{printed:?}");
    Ok(())
}

async fn submitted_and_removed(world: World) -> Result<()> {
    let spec = json!({
        "containers": [{"command": ["sh", "-c", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done"]}],
        "terminationGracePeriodSeconds": 30,
    });
    world.pod("p", spec).await?;
    let pod = world.ready("p").await?;
    ensure!(phase(&pod) == "Running");
    world.delete("p", None).await?;
    // Its deletion is seen first, and only then is it gone.
    let left = world.watch("p", "its deletion is asked for", |pod: &Pod| {
        Ok(pod.metadata.deletion_timestamp.is_some())
    });
    // It may be gone by the time that it is looked at.
    if let Ok(pod) = left.await {
        ensure!(pod.metadata.deletion_grace_period_seconds == Some(30));
    }
    world.gone("p").await
}

async fn host_ip(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    let pod = world.ready("p").await?;
    let status = pod.status.unwrap_or_default();
    let ip: std::net::IpAddr = status.host_ip.unwrap_or_default().parse()?;
    ensure!(status.host_ips.unwrap_or_default()[0].ip == ip.to_string());
    ensure!(!status.pod_ip.unwrap_or_default().is_empty());
    Ok(())
}

async fn echo(world: &World, container: serde_json::Value) -> Result<String> {
    let mut container = container;
    container["image"] = json!(ECHO);
    world
        .pod(
            "p",
            json!({"restartPolicy": "Never", "containers": [container]}),
        )
        .await?;
    world.output_of("p").await
}

async fn image_defaults(world: World) -> Result<()> {
    let printed = echo(&world, json!({})).await?;
    ensure!(printed == "image default\n", "{printed:?}");
    Ok(())
}

async fn args(world: World) -> Result<()> {
    let printed = echo(&world, json!({"args": ["override", "arguments"]})).await?;
    ensure!(printed == "image override arguments\n", "{printed:?}");
    Ok(())
}

async fn command(world: World) -> Result<()> {
    // The image's command goes with its entry point.
    let printed = echo(&world, json!({"command": ["echo"]})).await?;
    ensure!(printed == "\n", "{printed:?}");
    Ok(())
}

async fn command_and_args(world: World) -> Result<()> {
    let container = json!({"command": ["echo", "other"], "args": ["override", "arguments"]});
    let printed = echo(&world, container).await?;
    ensure!(printed == "other override arguments\n", "{printed:?}");
    Ok(())
}

async fn failing_is_deleted(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["false"]}]}))
        .await?;
    let waits = |pod: &Pod| waits_for(pod, "main") == "CrashLoopBackOff";
    let pod = world
        .until("p", "it waits to be started again", waits)
        .await?;
    ensure!(!is_ready(&pod) && !is_over(&pod) && restarts(&pod, "main") > 0);
    world.event("p", "BackOff").await?;
    world.delete("p", None).await?;
    world.gone("p").await
}
