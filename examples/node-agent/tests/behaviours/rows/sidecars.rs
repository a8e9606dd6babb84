//! Init containers that keep running.

use anyhow::{Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::LogParams;
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, condition, ended, is_over, is_running, phase, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![
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
            "sidecars end after the others, in reverse order",
            Any,
            reverse_end
        ),
        row!(
            56,
            "a sidecar that ends is started again, whatever the policy",
            Any,
            restarted
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
    ]
}

fn sidecar(name: &str, script: &str) -> Value {
    json!({"name": name, "restartPolicy": "Always", "command": ["sh", "-c", script]})
}

const OBEYS: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

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
    let init = json!({"name": "later", "command": ["sleep", "2"]});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", OBEYS), init],
        "containers": [{"command": ["sleep", "2"]}],
    });
    world.pod("p", spec).await?;
    let (mut with_init, mut with_main) = (false, false);
    let pod = world.watch("p", "it has ended", |pod: &Pod| {
        let side = is_running(pod, "side");
        with_init |= side && is_running(pod, "later");
        with_main |= side && is_running(pod, "main");
        Ok(is_over(pod))
    });
    let pod = pod.await?;
    ensure!(phase(&pod) == "Succeeded" && with_init && with_main);
    ensure!(restarts(&pod, "side") == 0);
    Ok(())
}

async fn succeeds(world: World) -> Result<()> {
    let side = sidecar("side", "trap 'exit 7' TERM; while :; do sleep 0.05; done");
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [side],
        "containers": [{"command": ["true"]}],
    });
    world.pod("p", spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    ensure!(phase(&pod) == "Succeeded");
    ensure!(ended(&pod, "side").is_some_and(|(code, ..)| code == 7));
    Ok(())
}

async fn reverse_end(world: World) -> Result<()> {
    // Each tells the next in a file when it ends.
    let says = |name: &str| {
        format!(
            "trap 'echo {name} >> $KUBEWRIGHT_ROOT/v/order; exit 0' TERM; while :; do sleep 0.05; done"
        )
    };
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let (mut first, mut second) = (sidecar("first", ""), sidecar("second", &says("second")));
    // The last one to end prints what it finds.
    let last = "trap 'cat $KUBEWRIGHT_ROOT/v/order; echo first; exit 0' TERM; while :; do sleep 0.05; done";
    first["command"] = json!(["sh", "-c", last]);
    first["volumeMounts"] = mount.clone();
    second["volumeMounts"] = mount.clone();
    let spec = json!({
        "terminationGracePeriodSeconds": 20,
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [first, second],
        "containers": [{"command": ["sh", "-c", says("main")], "volumeMounts": mount}],
    });
    world.pod("p", spec).await?;
    world.ready("p").await?;
    let params = LogParams {
        container: Some("first".to_owned()),
        follow: true,
        ..LogParams::default()
    };
    let mut lines = world.api::<Pod>().log_stream("p", &params).await?.lines();
    world.delete("p", None).await?;
    let mut order = Vec::new();
    while let Some(line) = lines.next().await {
        order.push(line?);
    }
    ensure!(order == ["main", "second", "first"], "{order:?}");
    world.gone("p").await
}

async fn restarted(world: World) -> Result<()> {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar("side", "sleep 0.3; exit 1")],
        "containers": [{"command": ["sh", "-c", OBEYS]}],
    });
    world.pod("p", spec).await?;
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
