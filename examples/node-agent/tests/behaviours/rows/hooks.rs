//! Hooks: what is run after a container's start and before its end.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::sidecars::sharing;
use crate::script::{LISTENS, OBEYS, awaits, ends_with};
use crate::table::{Row, row};
use crate::world::{FIXTURE, World, is_running, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(30, "a postStart exec hook is run", Any, post_start_exec),
        row!(
            30,
            "a container whose postStart hook fails is killed and tried again",
            Any,
            post_start_fails
        ),
        row!(
            30,
            "a container's postStart hook comes before the next container",
            Any,
            post_start_before_next
        ),
        row!(31, "a postStart http hook is run", Any, post_start_http),
        row!(32, "a preStop exec hook is run", Any, pre_stop_exec),
        row!(33, "a preStop http hook is run", Any, pre_stop_http),
        row!(
            34,
            "preStop is called when a pod is killed, before the container is told to end",
            Any,
            before_the_signal
        ),
        row!(34, "the end waits for preStop", Any, waits_for_hook),
        row!(
            34,
            "a preStop hook that never ends is cut off by the grace",
            Any,
            hook_without_end
        ),
    ]
}

/// A server that prints what it is asked for.
async fn server(world: &World) -> Result<String> {
    let container = json!({"image": FIXTURE, "args": ["http", "18080"]});
    world
        .pod("server", json!({"containers": [container]}))
        .await?;
    let pod = world.ready("server").await?;
    world.printed("server", "main", "serving").await?;
    Ok(pod
        .status
        .and_then(|status| status.pod_ip)
        .unwrap_or_default())
}

async fn hooked(world: &World, hooks: Value, script: &str) -> Result<()> {
    let container = json!({"command": ["sh", "-c", script], "lifecycle": hooks});
    let spec = json!({"terminationGracePeriodSeconds": 600, "containers": [container]});
    world.pod("p", spec).await?;
    world.ready("p").await?;
    Ok(())
}

async fn post_start_exec(world: World) -> Result<()> {
    let hook = json!({"postStart": {"exec": {"command": ["sh", "-c", "echo hook > $KUBEWRIGHT_ROOT/shared/ran"]}}});
    let container = json!({
        "command": ["sh", "-c", "while [ ! -e $KUBEWRIGHT_ROOT/shared/ran ]; do sleep 0.05; done; cat $KUBEWRIGHT_ROOT/shared/ran; exec sleep 1000"],
        "lifecycle": hook,
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    });
    let spec = json!({"volumes": [{"name": "shared", "emptyDir": {}}], "containers": [container]});
    world.pod("p", spec).await?;
    world.printed("p", "main", "hook").await?;
    Ok(())
}

async fn post_start_before_next(world: World) -> Result<()> {
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let hook = "sleep 1; touch $KUBEWRIGHT_ROOT/v/hooked";
    let first = json!({
        "name": "first",
        "command": ["sh", "-c", OBEYS],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", hook]}}},
        "volumeMounts": mounts,
    });
    let next = "test -e $KUBEWRIGHT_ROOT/v/hooked && echo hooked; exec sleep 1000";
    let next = json!({"name": "next", "command": ["sh", "-c", next], "volumeMounts": mounts});
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    world
        .pod(
            "p",
            json!({"volumes": volumes, "containers": [first, next]}),
        )
        .await?;
    world.ready("p").await?;
    world.printed("p", "next", "hooked").await?;
    Ok(())
}

async fn post_start_fails(world: World) -> Result<()> {
    let container = json!({
        "command": ["sh", "-c", OBEYS],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "exit 9"]}}},
    });
    world.pod("p", json!({"containers": [container]})).await?;
    world.event("p", "FailedPostStartHook").await?;
    world
        .until("p", "it was restarted", |pod| restarts(pod, "main") > 0)
        .await?;
    Ok(())
}

async fn post_start_http(world: World) -> Result<()> {
    let host = server(&world).await?;
    let get = json!({"path": "/post-start", "port": 18080, "host": host});
    hooked(&world, json!({"postStart": {"httpGet": get}}), OBEYS).await?;
    world.printed("server", "main", "GET /post-start").await?;
    Ok(())
}

async fn pre_stop_exec(world: World) -> Result<()> {
    // What the hook prints is nobody's; without what it does, the container would not end in time.
    let hook = "touch $KUBEWRIGHT_ROOT/v/hooked";
    let script = format!("{}; echo hooked", awaits("hooked"));
    let container = json!({
        "command": ["sh", "-c", format!("trap '' TERM; echo {LISTENS}; {script}")],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", hook]}}},
    });
    let spec = json!({"terminationGracePeriodSeconds": 600, "containers": [container]});
    world.pod("p", sharing(spec)).await?;
    let log = end_of(&world).await?;
    ensure!(log == "hooked\n", "{log:?}");
    Ok(())
}

async fn pre_stop_http(world: World) -> Result<()> {
    let host = server(&world).await?;
    let get = json!({"path": "/pre-stop", "port": "named", "host": host});
    let container = json!({
        "command": ["sh", "-c", OBEYS],
        "ports": [{"name": "named", "containerPort": 18080}],
        "lifecycle": {"preStop": {"httpGet": get}},
    });
    let spec = json!({"terminationGracePeriodSeconds": 600, "containers": [container]});
    world.pod("p", spec).await?;
    world.ready("p").await?;
    world.delete("p", None).await?;
    world.printed("server", "main", "GET /pre-stop").await?;
    world.gone("p").await
}

/// What a container prints is lost with its pod: this one's end is watched by a follower of its log.
async fn end_of(world: &World) -> Result<String> {
    use futures::{AsyncBufReadExt as _, StreamExt as _};

    world.ready("p").await?;
    world.listen("p", &["main"]).await?;
    let follow = kube_client::api::LogParams {
        follow: true,
        ..Default::default()
    };
    let mut lines = world.api::<Pod>().log_stream("p", &follow).await?.lines();
    world.delete("p", None).await?;
    let mut log = String::new();
    while let Some(line) = lines.next().await {
        let line = line?;
        if line != LISTENS {
            log.push_str(&line);
            log.push('\n');
        }
    }
    world.gone("p").await?;
    Ok(log)
}

async fn before_the_signal(world: World) -> Result<()> {
    let hook = "echo hook > $KUBEWRIGHT_ROOT/v/hook";
    let script = ends_with("cat $KUBEWRIGHT_ROOT/v/hook; echo signal");
    let container = json!({
        "command": ["sh", "-c", script],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", hook]}}},
    });
    let spec = json!({"terminationGracePeriodSeconds": 600, "containers": [container]});
    world.pod("p", sharing(spec)).await?;
    let log = end_of(&world).await?;
    ensure!(log == "hook\nsignal\n", "{log:?}");
    Ok(())
}

async fn waits_for_hook(world: World) -> Result<()> {
    let hooks = json!({"preStop": {"exec": {"command": ["sleep", "3"]}}});
    hooked(&world, hooks, &ends_with("echo signal")).await?;
    let began = Instant::now();
    let log = end_of(&world).await?;
    let took = began.elapsed();
    ensure!(log == "signal\n", "{log:?}");
    ensure!(took > Duration::from_secs_f64(2.9), "{took:?}");
    Ok(())
}

async fn hook_without_end(world: World) -> Result<()> {
    let hooks = json!({"preStop": {"exec": {"command": ["sleep", "1000"]}}});
    hooked(&world, hooks, OBEYS).await?;
    world
        .until("p", "it runs", |pod| is_running(pod, "main"))
        .await?;
    // The pod's own grace is longer than anything is waited for.
    world.delete("p", Some(2)).await?;
    world.gone("p").await
}
