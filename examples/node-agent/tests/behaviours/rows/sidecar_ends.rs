//! Init containers that keep running: how they end.

use anyhow::{Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::LogParams;
use serde_json::{Value, json};

use super::sidecars::{asks, sharing, sidecar};
use crate::script::{DEAF, LISTENS, OBEYS, awaits, ends_with, heeds};
use crate::table::{Row, row};
use crate::world::{World, ended, is_over, is_running, phase, restarts, waits_for};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            56,
            "sidecars end after the others, in reverse order",
            Any,
            reverse_end
        ),
        row!(
            56,
            "a sidecar's preStop hook is called at once, and its signal comes after the others' end",
            Any,
            hook_first
        ),
        row!(
            56,
            "the preStop hooks of sidecars run at one time",
            Any,
            hooks_together
        ),
        row!(
            56,
            "sidecars that do not end are killed once the grace is over",
            Any,
            deaf
        ),
        row!(
            56,
            "a sidecar that fails its liveness probe has its preStop hook called",
            Any,
            hook_of_liveness
        ),
        row!(
            56,
            "a sidecar that fails its startup probe has its preStop hook called",
            Any,
            hook_of_startup
        ),
        row!(
            56,
            "a pod that is deleted while its sidecar starts does not hang",
            Any,
            deleted_while_starting
        ),
        row!(
            56,
            "a pod of policy OnFailure succeeds, and its sidecars are not started again",
            Any,
            succeeds_on_failure
        ),
        row!(56, "a pod fails though its sidecar ends well", Any, fails),
        row!(
            56,
            "a sidecar that crashes all the time keeps no pod from succeeding",
            Any,
            crashing
        ),
    ]
}

/// What the first of these containers prints until its end, which comes with the pod's deletion, once
/// all of them hear of that.
async fn printed_at_the_end(world: &World, containers: &[&str]) -> Result<Vec<String>> {
    world.ready("p").await?;
    world.listen("p", containers).await?;
    let params = LogParams {
        container: Some(containers[0].to_owned()),
        follow: true,
        ..LogParams::default()
    };
    let mut lines = world.api::<Pod>().log_stream("p", &params).await?.lines();
    world.delete("p", None).await?;
    let mut printed = Vec::new();
    while let Some(line) = lines.next().await {
        printed.push(line?);
    }
    world.gone("p").await?;
    printed.retain(|line| line != LISTENS);
    Ok(printed)
}

/// Adds a word to what all containers of the pod can read.
fn says(word: &str) -> String {
    format!("echo {word} >> $KUBEWRIGHT_ROOT/v/order")
}

/// Prints what was said.
const TELLS: &str = "cat $KUBEWRIGHT_ROOT/v/order";

async fn reverse_end(world: World) -> Result<()> {
    let last = ends_with(&format!("{TELLS}; echo first"));
    let second = ends_with(&says("second"));
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "initContainers": [sidecar("first", &last), sidecar("second", &second)],
        "containers": [{"command": ["sh", "-c", ends_with(&says("main"))]}],
    });
    world.pod("p", sharing(spec)).await?;
    let order = printed_at_the_end(&world, &["first", "second", "main"]).await?;
    ensure!(order == ["main", "second", "first"], "{order:?}");
    Ok(())
}

fn with_hook(mut container: Value, script: &str) -> Value {
    container["lifecycle"] = json!({"preStop": {"exec": {"command": ["sh", "-c", script]}}});
    container
}

async fn hook_first(world: World) -> Result<()> {
    let side = sidecar("side", &ends_with(&format!("{TELLS}; echo signal")));
    // The container itself sees to it that the hook has been there when it ends.
    let main = ends_with(&format!("{}; {}", awaits("order"), says("main")));
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "initContainers": [with_hook(side, &says("hook"))],
        "containers": [{"command": ["sh", "-c", main]}],
    });
    world.pod("p", sharing(spec)).await?;
    let order = printed_at_the_end(&world, &["side", "main"]).await?;
    ensure!(order == ["hook", "main", "signal"], "{order:?}");
    Ok(())
}

async fn hooks_together(world: World) -> Result<()> {
    // Each of two hooks waits for the other: one after the other they would not end.
    let hook = |own: &str, other: &str| {
        format!(
            "cd $KUBEWRIGHT_ROOT/v; touch {own}; while [ ! -e {other} ]; do sleep 0.05; done; \
             echo {own} >> order"
        )
    };
    let first = sidecar("first", &ends_with(TELLS));
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "initContainers": [
            with_hook(first, &hook("a", "b")),
            with_hook(sidecar("second", OBEYS), &hook("b", "a")),
        ],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", sharing(spec)).await?;
    let mut hooks = printed_at_the_end(&world, &["first"]).await?;
    hooks.sort();
    ensure!(hooks == ["a", "b"], "{hooks:?}");
    Ok(())
}

async fn deaf(world: World) -> Result<()> {
    let spec = json!({
        "terminationGracePeriodSeconds": 2,
        "initContainers": [sidecar("first", DEAF), sidecar("second", DEAF)],
        "containers": [{"command": ["sh", "-c", DEAF]}],
    });
    world.pod("p", spec).await?;
    world.listen("p", &["first", "second", "main"]).await?;
    let mut codes = [None; 3];
    let watched = world.watch("p", "nothing", |pod| {
        for (name, code) in ["main", "second", "first"].into_iter().zip(&mut codes) {
            *code = ended(pod, name).map(|(code, ..)| code).or(*code);
        }
        Ok(false)
    });
    let (watched, deleted) = tokio::join!(watched, world.delete("p", None));
    deleted?;
    // It ends with the pod.
    ensure!(watched.is_err());
    world.gone("p").await?;
    ensure!(codes == [Some(137); 3], "{codes:?}");
    Ok(())
}

async fn hook_of_liveness(world: World) -> Result<()> {
    let mut side = with_hook(sidecar("side", OBEYS), &says("hook"));
    // It is well again once the hook was called.
    side["livenessProbe"] = asks("test -e $KUBEWRIGHT_ROOT/v/order");
    side["livenessProbe"]["failureThreshold"] = json!(1);
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "initContainers": [side],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", sharing(spec)).await?;
    let restarted = |pod: &Pod| restarts(pod, "side") >= 1 && is_running(pod, "side");
    let pod = world
        .until("p", "the sidecar was restarted", restarted)
        .await?;
    ensure!(restarts(&pod, "main") == 0);
    let hooks = world.exec("p", &["sh", "-c", TELLS]).await?;
    ensure!(hooks == "hook\n", "{hooks:?}");
    Ok(())
}

async fn hook_of_startup(world: World) -> Result<()> {
    let mut side = with_hook(sidecar("side", OBEYS), &says("hook"));
    side["startupProbe"] = asks("test -e $KUBEWRIGHT_ROOT/v/order");
    side["startupProbe"]["failureThreshold"] = json!(1);
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "initContainers": [side],
        "containers": [{"command": ["sh", "-c", format!("{TELLS}; {OBEYS}")]}],
    });
    world.pod("p", sharing(spec)).await?;
    let mut too_early = false;
    world
        .watch("p", "the others run", |pod: &Pod| {
            too_early |= is_running(pod, "main") && restarts(pod, "side") == 0;
            Ok(is_running(pod, "main"))
        })
        .await?;
    ensure!(!too_early);
    world.printed("p", "main", "hook").await?;
    Ok(())
}

async fn deleted_while_starting(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    side["startupProbe"] = asks("false");
    side["startupProbe"]["failureThreshold"] = json!(1000);
    let spec = json!({"initContainers": [side], "containers": [{"command": ["sh", "-c", OBEYS]}]});
    world.pod("p", spec).await?;
    world
        .until("p", "the sidecar runs", |pod| is_running(pod, "side"))
        .await?;
    world.delete("p", None).await?;
    world.gone("p").await
}

async fn succeeds_on_failure(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "OnFailure",
        "initContainers": [sidecar("first", &heeds("one", 0)), sidecar("second", &heeds("two", 0))],
        "containers": [{"command": ["sh", "-c", format!("{}; {}", awaits("one"), awaits("two"))]}],
    });
    world.pod("p", sharing(spec)).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded");
    for name in ["first", "second"] {
        ensure!(ended(&pod, name).is_some_and(|(code, ..)| code == 0));
        ensure!(restarts(&pod, name) == 0);
    }
    Ok(())
}

async fn fails(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", &heeds("up", 0))],
        "containers": [{"command": ["sh", "-c", format!("{}; exit 3", awaits("up"))]}],
    });
    world.pod("p", sharing(spec)).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Failed");
    ensure!(ended(&pod, "side").is_some_and(|(code, ..)| code == 0));
    Ok(())
}

async fn crashing(world: World) -> Result<()> {
    // It has started before it crashes, or nothing else would start.
    let main = format!("touch $KUBEWRIGHT_ROOT/v/up; {}", awaits("done"));
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", &format!("{}; exit 1", awaits("up")))],
        "containers": [{"command": ["sh", "-c", main]}],
    });
    world.pod("p", sharing(spec)).await?;
    let crashes = |pod: &Pod| waits_for(pod, "side") == "CrashLoopBackOff";
    world
        .until("p", "the sidecar crashes", |pod| {
            crashes(pod) && is_running(pod, "main")
        })
        .await?;
    world
        .exec("p", &["sh", "-c", "touch $KUBEWRIGHT_ROOT/v/done"])
        .await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded" && restarts(&pod, "side") >= 1);
    Ok(())
}
