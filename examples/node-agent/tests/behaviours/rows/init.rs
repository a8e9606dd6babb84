//! Init containers come first, one after the other.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{
    World, condition, container, ended, is_over, is_running, phase, restarts, waits_for,
};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            15,
            "init containers run on a pod of policy Never",
            Any,
            never
        ),
        row!(
            16,
            "init containers run on a pod of policy Always",
            Any,
            always
        ),
        row!(
            17,
            "if one fails on policy Always, it is tried again and nothing else starts",
            Any,
            failing_always
        ),
        row!(
            18,
            "if one fails on policy Never, the pod fails",
            Any,
            failing_never
        ),
    ]
}

fn spec(policy: &str, init: [&str; 2], main: &str) -> Value {
    let [first, second] = init.map(|script| json!(["sh", "-c", script]));
    json!({
        "restartPolicy": policy,
        "initContainers": [
            {"name": "first", "command": first},
            {"name": "second", "command": second},
        ],
        "containers": [{"command": ["sh", "-c", main]}],
    })
}

/// When a container was started, as its log tells, and when it ended.
async fn times(world: &World, name: &str) -> Result<(f64, f64)> {
    let log = world.log("p", name).await?;
    let mut times = log.lines().map(str::parse);
    match (times.next(), times.next()) {
        (Some(start), Some(end)) => Ok((start?, end?)),
        _ => anyhow::bail!("{name} printed {log:?}"),
    }
}

/// Prints the seconds since the machine was started.
const TIMED: &str = "cut -d' ' -f1 /proc/uptime; sleep 0.2; cut -d' ' -f1 /proc/uptime";

async fn never(world: World) -> Result<()> {
    world.pod("p", spec("Never", [TIMED, TIMED], TIMED)).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded");
    ensure!(condition(&pod, "Initialized") == "True");
    for name in ["first", "second"] {
        let status = container(&pod, name);
        ensure!(status.is_some_and(|status| status.ready), "{name} was done");
    }
    let first = times(&world, "first").await?;
    let second = times(&world, "second").await?;
    let main = times(&world, "main").await?;
    ensure!(
        first.1 <= second.0 && second.1 <= main.0,
        "one after the other"
    );
    Ok(())
}

async fn always(world: World) -> Result<()> {
    world
        .pod("p", spec("Always", ["true", "true"], "exec sleep 1000"))
        .await?;
    let mut was_initialized = false;
    let mut too_early = false;
    let pod = world.watch("p", "it runs", |pod| {
        was_initialized |= condition(pod, "Initialized") == "True";
        too_early |= is_running(pod, "main") && condition(pod, "Initialized") != "True";
        Ok(phase(pod) == "Running")
    });
    let pod = pod.await?;
    ensure!(was_initialized && !too_early);
    ensure!(ended(&pod, "first").is_some_and(|(code, ..)| code == 0));
    ensure!(ended(&pod, "second").is_some_and(|(code, ..)| code == 0));
    Ok(())
}

async fn failing_always(world: World) -> Result<()> {
    world
        .pod("p", spec("Always", ["exit 1", "true"], "exec sleep 1000"))
        .await?;
    let mut others = false;
    let pod = world.watch("p", "the first was restarted", |pod: &Pod| {
        others |= is_running(pod, "main") || ended(pod, "second").is_some();
        Ok(restarts(pod, "first") >= 2)
    });
    let pod = pod.await?;
    ensure!(!others && phase(&pod) == "Pending");
    ensure!(condition(&pod, "Initialized") == "False");
    ensure!(waits_for(&pod, "main") == "PodInitializing");
    Ok(())
}

async fn failing_never(world: World) -> Result<()> {
    world
        .pod("p", spec("Never", ["true", "exit 3"], "exec sleep 1000"))
        .await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Failed");
    ensure!(ended(&pod, "second").is_some_and(|(code, ..)| code == 3));
    ensure!(ended(&pod, "main").is_none(), "it was never started");
    ensure!(condition(&pod, "Initialized") == "False");
    Ok(())
}
