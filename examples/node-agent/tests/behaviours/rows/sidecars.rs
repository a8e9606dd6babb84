//! Init containers that keep running: how they start, and how they are started again.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::restart::agent_acts;
use crate::script::{OBEYS, awaits, heeds};
use crate::table::{On, Place, Row, row};
use crate::world::{
    World, condition, container, container_id, ended, is_over, is_ready, is_running, phase,
    restarts,
};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row!(
            56,
            "sidecars start one after the other, each with its startup probe",
            Any,
            serial_start
        ),
        row!(
            56,
            "a sidecar runs on while later init containers and the pod's own run",
            Any,
            runs_on
        ),
        row!(
            56,
            "a pod succeeds though its sidecar failed",
            Any,
            succeeds
        ),
        row!(
            56,
            "a sidecar whose startup probe fails keeps the others waiting",
            Any,
            keeps_waiting
        ),
        row!(
            56,
            "a sidecar's readiness is part of the pod's",
            Any,
            readiness_counts
        ),
        row!(
            56,
            "a sidecar's liveness restarts it alone",
            Any,
            liveness_restarts
        ),
        row!(
            56,
            "a regular init container's failure fails a pod of policy Never, sidecars or not",
            Any,
            init_fails
        ),
        row!(
            56,
            "a sidecar serves the init containers after it",
            Any,
            serves_init
        ),
        row!(
            56,
            "a sidecar's postStart hook comes before what comes after it",
            Any,
            post_start_first
        ),
        row!(
            56,
            "a sidecar that fails at first keeps the others waiting until it starts",
            Any,
            starts_in_the_end
        ),
        row!(
            56,
            "a pod of policy OnFailure restarts its own container and leaves the sidecar alone",
            Any,
            main_restarts_alone
        ),
        row!(
            56,
            "a new image of a sidecar restarts it alone",
            Any,
            new_image
        ),
        row!(
            56,
            "a pod that has lost its sandbox starts anew, sidecars before the others",
            Any,
            lost_sandbox
        ),
        row!(
            56,
            "an agent that is started again leaves sidecars alone",
            Any,
            Alone,
            adopted
        ),
    ];
    for policy in ["Always", "OnFailure", "Never"] {
        for (ends, code) in [("succeeds", 0), ("fails", 1)] {
            rows.push(Row {
                number: 56,
                name: format!("a sidecar that {ends} is started again in a pod of policy {policy}"),
                run: Box::new(move |world| Box::pin(restarted(world, policy, code))),
                on: On::Any,
                place: Place::Shared,
            });
        }
    }
    rows
}

pub(super) fn sidecar(name: &str, script: &str) -> Value {
    json!({"name": name, "restartPolicy": "Always", "command": ["sh", "-c", script]})
}

async fn serial_start(world: World) -> Result<()> {
    let started = |after: f64| {
        json!({
            "exec": {"command": ["sh", "-c", format!("sleep {after}; true")]},
            "timeoutSeconds": 5, "periodSeconds": 1, "failureThreshold": 10,
        })
    };
    let (mut first, mut second) = (sidecar("first", OBEYS), sidecar("second", OBEYS));
    first["startupProbe"] = started(0.3);
    second["startupProbe"] = started(0.3);
    let spec = json!({"initContainers": [first, second], "containers": [{"command": ["sh", "-c", OBEYS]}]});
    world.pod("p", spec).await?;
    let mut order = Vec::new();
    world
        .watch("p", "it is ready", |pod: &Pod| {
            for name in ["first", "second", "main"] {
                if is_running(pod, name) && !order.contains(&name) {
                    order.push(name);
                }
            }
            Ok(condition(pod, "Ready") == "True")
        })
        .await?;
    ensure!(order == ["first", "second", "main"], "{order:?}");
    Ok(())
}

async fn runs_on(world: World) -> Result<()> {
    let until = |file: &str| json!(["sh", "-c", awaits(file)]);
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", OBEYS), {"name": "later", "command": until("first")}],
        "containers": [{"command": until("second")}],
    });
    world.pod("p", sharing(spec)).await?;
    for (name, file) in [("later", "first"), ("main", "second")] {
        let both = |pod: &Pod| is_running(pod, "side") && is_running(pod, name);
        world.until("p", "both run", both).await?;
        let touch = format!("touch $KUBEWRIGHT_ROOT/v/{file}");
        world.exec_in("p", "side", &["sh", "-c", &touch]).await?;
    }
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded" && restarts(&pod, "side") == 0);
    Ok(())
}

async fn succeeds(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", &heeds("up", 7))],
        "containers": [{"command": ["sh", "-c", awaits("up")]}],
    });
    world.pod("p", sharing(spec)).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded");
    ensure!(ended(&pod, "side").is_some_and(|(code, ..)| code == 7));
    Ok(())
}

async fn restarted(world: World, policy: &str, code: u8) -> Result<()> {
    // It has started before it ends for the first time, or nothing else would start.
    let side = format!("{}; exit {code}", awaits("up"));
    let main = format!("touch $KUBEWRIGHT_ROOT/v/up; {OBEYS}");
    let spec = json!({
        "restartPolicy": policy,
        "initContainers": [sidecar("side", &side)],
        "containers": [{"command": ["sh", "-c", main]}],
    });
    world.pod("p", sharing(spec)).await?;
    let pod = world.until("p", "the sidecar was restarted", |pod| {
        restarts(pod, "side") >= 2
    });
    let pod = pod.await?;
    ensure!(phase(&pod) == "Running" && restarts(&pod, "main") == 0);
    Ok(())
}

async fn keeps_waiting(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    side["startupProbe"] =
        json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1});
    let spec = json!({"initContainers": [side], "containers": [{"command": ["sh", "-c", OBEYS]}]});
    world.pod("p", spec).await?;
    let mut too_early = false;
    let pod = world.watch("p", "the sidecar was restarted", |pod: &Pod| {
        too_early |= is_running(pod, "main");
        Ok(restarts(pod, "side") >= 2)
    });
    let pod = pod.await?;
    ensure!(!too_early && phase(&pod) == "Pending" && condition(&pod, "Initialized") == "False");
    Ok(())
}

async fn readiness_counts(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    let probe = "test -e $KUBEWRIGHT_ROOT/v/ready";
    side["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", probe]}, "periodSeconds": 1});
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    side["volumeMounts"] = mount.clone();
    let spec = json!({
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [side],
        "containers": [{"command": ["sh", "-c", OBEYS], "volumeMounts": mount}],
    });
    world.pod("p", spec).await?;
    let pod = world
        .until("p", "all run", |pod| is_running(pod, "main"))
        .await?;
    ensure!(condition(&pod, "Ready") == "False");
    world
        .exec("p", &["sh", "-c", "touch $KUBEWRIGHT_ROOT/v/ready"])
        .await?;
    world.ready("p").await?;
    Ok(())
}

async fn liveness_restarts(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    side["livenessProbe"] =
        json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1});
    let spec = json!({"initContainers": [side], "containers": [{"command": ["sh", "-c", OBEYS]}]});
    world.pod("p", spec).await?;
    let pod = world
        .until("p", "the sidecar was restarted", |pod| {
            restarts(pod, "side") >= 1
        })
        .await?;
    ensure!(restarts(&pod, "main") == 0);
    Ok(())
}

async fn init_fails(world: World) -> Result<()> {
    let init = json!({"name": "later", "command": ["sh", "-c", "exit 3"]});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", OBEYS), init],
        "containers": [{"command": ["true"]}],
    });
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Failed" && ended(&pod, "main").is_none());
    ensure!(
        ended(&pod, "side").is_some(),
        "the sidecar was ended: {:?}",
        pod.status
    );
    Ok(())
}

/// A volume that all containers of a pod have at `/v`.
pub(super) fn sharing(mut spec: Value) -> Value {
    spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
        }
    }
    spec
}

/// A probe that asks a shell, every second.
pub(super) fn asks(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, "timeoutSeconds": 30})
}

async fn serves_init(world: World) -> Result<()> {
    let up = format!("touch $KUBEWRIGHT_ROOT/v/up; {OBEYS}");
    let mut side = sidecar("side", &up);
    side["startupProbe"] = asks("test -e $KUBEWRIGHT_ROOT/v/up");
    later_finds(&world, side, "up").await
}

async fn post_start_first(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    let hook = "sleep 1; touch $KUBEWRIGHT_ROOT/v/hooked";
    side["lifecycle"] = json!({"postStart": {"exec": {"command": ["sh", "-c", hook]}}});
    later_finds(&world, side, "hooked").await
}

/// An init container after a sidecar fails unless the file is there that the sidecar makes first.
async fn later_finds(world: &World, side: Value, file: &str) -> Result<()> {
    let find = format!("test -e $KUBEWRIGHT_ROOT/v/{file}");
    let init = json!({"name": "later", "command": ["sh", "-c", find]});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [side, init],
        "containers": [{"command": ["true"]}],
    });
    world.pod("p", sharing(spec)).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    let is_done = phase(&pod) == "Succeeded" && ended(&pod, "later").is_some();
    ensure!(is_done, "{:?}", pod.status);
    Ok(())
}

async fn starts_in_the_end(world: World) -> Result<()> {
    let script = format!(
        "cd $KUBEWRIGHT_ROOT/v; echo x >> count; \
         if [ $(wc -l < count) -lt 3 ]; then exit 1; fi; touch up; {OBEYS}"
    );
    let mut side = sidecar("side", &script);
    side["startupProbe"] = asks("test -e $KUBEWRIGHT_ROOT/v/up");
    side["startupProbe"]["failureThreshold"] = json!(100);
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [side],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", sharing(spec)).await?;
    let mut too_early = false;
    let pod = world.watch("p", "it is ready", |pod: &Pod| {
        too_early |= is_running(pod, "main") && restarts(pod, "side") < 2;
        Ok(is_ready(pod))
    });
    let pod = pod.await?;
    ensure!(!too_early && restarts(&pod, "side") == 2);
    Ok(())
}

async fn main_restarts_alone(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "OnFailure",
        "initContainers": [sidecar("side", OBEYS)],
        "containers": [{"command": ["sh", "-c", "sleep 0.3; exit 1"]}],
    });
    world.pod("p", spec).await?;
    let restarted = |pod: &Pod| restarts(pod, "main") >= 2;
    let pod = world.until("p", "it was restarted", restarted).await?;
    ensure!(is_running(&pod, "side") && restarts(&pod, "side") == 0);
    Ok(())
}

async fn new_image(world: World) -> Result<()> {
    let spec = json!({
        "initContainers": [sidecar("side", OBEYS)],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", spec).await?;
    let before = world.ready("p").await?;
    let other = json!([{"name": "side", "image": "localhost/busybox:2"}]);
    let patch = Patch::Strategic(json!({"spec": {"initContainers": other}}));
    let params = PatchParams::default();
    world.api::<Pod>().patch("p", &params, &patch).await?;
    let replaced = |pod: &Pod| restarts(pod, "side") == 1 && is_ready(pod);
    let after = world.until("p", "it was replaced", replaced).await?;
    ensure!(container_id(&before, "side") != container_id(&after, "side"));
    ensure!(
        container_id(&before, "main") == container_id(&after, "main")
            && restarts(&after, "main") == 0
    );
    Ok(())
}

/// When a container was started last.
fn started_at(pod: &Pod, name: &str) -> Option<jiff::Timestamp> {
    let state = container(pod, name)?.state.clone()?;
    let running = state.running.and_then(|running| running.started_at);
    let ended = state.terminated.and_then(|ended| ended.started_at);
    running.or(ended).map(|at| at.0)
}

async fn lost_sandbox(world: World) -> Result<()> {
    let script = "echo x >> $KUBEWRIGHT_ROOT/v/inits";
    let init = json!({"name": "first", "command": ["sh", "-c", script]});
    let spec = json!({
        "initContainers": [init, sidecar("side", OBEYS)],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", sharing(spec)).await?;
    let before = world.ready("p").await?;
    world
        .node
        .stop_sandboxes(before.metadata.uid.as_deref().context("it has a uid")?)
        .await?;
    // Containers may be started again before it is seen that their sandbox has gone with them.
    let is_new = |pod: &Pod, name| {
        container_id(pod, name) != container_id(&before, name) && is_running(pod, name)
    };
    let anew = |pod: &Pod| {
        let init = ["first", "side", "main"].map(|name| started_at(pod, name));
        let in_order = init[0] <= init[1] && init[1] <= init[2];
        is_new(pod, "side")
            && is_new(pod, "main")
            && in_order
            && is_ready(pod)
            && container_id(pod, "first") != container_id(&before, "first")
    };
    world.until("p", "all run anew, in order", anew).await?;
    let inits = world
        .exec("p", &["sh", "-c", "cat $KUBEWRIGHT_ROOT/v/inits"])
        .await?;
    ensure!(inits == "x\nx\n", "{inits:?}");
    Ok(())
}

async fn adopted(world: World) -> Result<()> {
    let mut side = sidecar("side", OBEYS);
    side["startupProbe"] = asks("true");
    let script = "echo x >> $KUBEWRIGHT_ROOT/v/inits";
    let init = json!({"name": "later", "command": ["sh", "-c", script]});
    let spec = json!({
        "initContainers": [side, init],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", sharing(spec)).await?;
    let before = world.ready("p").await?;
    world.node.stop_agent().await?;
    world.node.start_agent().await?;
    agent_acts(&world).await?;
    let after = world.ready("p").await?;
    for name in ["side", "main"] {
        ensure!(
            container_id(&before, name) == container_id(&after, name)
                && restarts(&after, name) == 0
        );
    }
    let inits = world
        .exec("p", &["sh", "-c", "cat $KUBEWRIGHT_ROOT/v/inits"])
        .await?;
    ensure!(inits == "x\n", "{inits:?}");
    Ok(())
}
