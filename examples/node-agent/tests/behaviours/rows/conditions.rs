//! The order of conditions, and deletions at bad moments.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{World, condition, is_ready, phase};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            54,
            "a pod without init containers has its conditions in order",
            Any,
            without_init
        ),
        row!(
            54,
            "a pod with init containers has its conditions in order",
            Any,
            with_init
        ),
        row!(
            54,
            "a pod whose volume cannot be had is not ready to start containers",
            Any,
            failing_volume
        ),
        row!(
            54,
            "a pod with init containers whose volume cannot be had is not initialized either",
            Any,
            failing_volume_of_init
        ),
        row!(
            54,
            "a pod that has ended keeps what was true of it",
            Any,
            after_the_end
        ),
        row!(
            55,
            "a pending pod that is deleted fails",
            Any,
            pending_fails
        ),
        row!(
            55,
            "a pod with a missing volume does not hang when it is deleted",
            Any,
            missing_volume
        ),
    ]
}

/// The order in which conditions became true, as they were seen.
async fn order(world: &World, spec: Value) -> Result<Vec<String>> {
    world.pod("p", spec).await?;
    let mut order: Vec<String> = Vec::new();
    world
        .watch("p", "it is ready", |pod: &Pod| {
            let conditions = pod
                .status
                .iter()
                .flat_map(|status| &status.conditions)
                .flatten();
            for condition in conditions {
                let seen = order.contains(&condition.type_);
                if condition.status == "True" && !seen {
                    order.push(condition.type_.clone());
                }
                ensure!(
                    condition.status == "True" || !seen,
                    "{} was lost",
                    condition.type_
                );
            }
            Ok(is_ready(pod))
        })
        .await?;
    Ok(order)
}

fn before(order: &[String], first: &str, second: &str) -> Result<()> {
    let place = |name: &str| order.iter().position(|it| it == name);
    let (Some(one), Some(two)) = (place(first), place(second)) else {
        anyhow::bail!("{first} or {second} is not in {order:?}");
    };
    // Those that come true at one time are seen in the order in which the status has them.
    ensure!(one < two, "{order:?}");
    Ok(())
}

async fn without_init(world: World) -> Result<()> {
    let spec = json!({"containers": [{"command": ["sleep", "1000"]}]});
    let order = order(&world, spec).await?;
    for name in [
        "PodScheduled",
        "Initialized",
        "PodReadyToStartContainers",
        "ContainersReady",
        "Ready",
    ] {
        ensure!(
            order.iter().any(|it| it == name),
            "{name} is not in {order:?}"
        );
    }
    before(&order, "PodReadyToStartContainers", "ContainersReady")
}

async fn with_init(world: World) -> Result<()> {
    let spec = json!({
        "initContainers": [{"command": ["sleep", "0.5"]}],
        "containers": [{"command": ["sleep", "1000"]}],
    });
    let order = order(&world, spec).await?;
    before(&order, "PodReadyToStartContainers", "Initialized")?;
    before(&order, "Initialized", "ContainersReady")
}

async fn failing_volume(world: World) -> Result<()> {
    let spec = json!({
        "volumes": [{"name": "v", "secret": {"secretName": "none"}}],
        "containers": [{"command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
    });
    world.pod("p", spec).await?;
    world.event("p", "FailedMount").await?;
    // The status is told apart from the event.
    let told = |pod: &Pod| condition(pod, "PodReadyToStartContainers") == "False";
    let pod = world.until("p", "its sandbox is not there", told).await?;
    ensure!(condition(&pod, "PodScheduled") == "True");
    ensure!(condition(&pod, "Initialized") == "True");
    ensure!(condition(&pod, "PodReadyToStartContainers") == "False");
    ensure!(condition(&pod, "Ready") == "False" && phase(&pod) == "Pending");
    world.delete("p", None).await?;
    world.gone("p").await
}

async fn failing_volume_of_init(world: World) -> Result<()> {
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let spec = json!({
        "volumes": [{"name": "v", "secret": {"secretName": "none"}}],
        "initContainers": [{"command": ["true"], "volumeMounts": mounts}],
        "containers": [{"command": ["true"]}],
    });
    world.pod("p", spec).await?;
    world.event("p", "FailedMount").await?;
    let told = |pod: &Pod| condition(pod, "PodReadyToStartContainers") == "False";
    let pod = world.until("p", "its sandbox is not there", told).await?;
    ensure!(condition(&pod, "PodScheduled") == "True");
    for name in ["Initialized", "ContainersReady", "Ready"] {
        ensure!(condition(&pod, name) == "False", "{name}: {:?}", pod.status);
    }
    world.delete("p", None).await?;
    world.gone("p").await
}

async fn after_the_end(world: World) -> Result<()> {
    world.output("p", "true").await?;
    let over = |pod: &Pod| condition(pod, "PodReadyToStartContainers") == "False";
    let pod = world.until("p", "its sandbox is gone", over).await?;
    ensure!(condition(&pod, "Initialized") == "True" && condition(&pod, "Ready") == "False");
    let conditions = pod
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
    ensure!(ready.and_then(|it| it.reason).as_deref() == Some("PodCompleted"));
    Ok(())
}

async fn pending_fails(world: World) -> Result<()> {
    // Its init container never ends by itself.
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"command": ["sleep", "1000"]}],
        "containers": [{"command": ["true"]}],
    });
    world
        .pod_with("p", json!({"finalizers": ["example.com/stay"]}), spec)
        .await?;
    world
        .until("p", "it waits", |pod| phase(pod) == "Pending")
        .await?;
    world.delete("p", None).await?;
    world
        .until("p", "it has failed", |pod| phase(pod) == "Failed")
        .await?;
    let patch = kube_client::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world
        .api::<Pod>()
        .patch("p", &Default::default(), &patch)
        .await?;
    world.gone("p").await
}

async fn missing_volume(world: World) -> Result<()> {
    let spec = json!({
        "volumes": [{"name": "v", "configMap": {"name": "none"}}],
        "containers": [{"command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
    });
    world.pod("p", spec).await?;
    world.event("p", "FailedMount").await?;
    world.delete("p", None).await?;
    world.gone("p").await
}
