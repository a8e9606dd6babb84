//! An agent that is started again finds what it left.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::table::{Row, row};
use crate::world::{
    IMAGE, World, condition, container, container_id, ended, eventually, is_over, is_ready, phase,
    restarts,
};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row!(
            50,
            "pods that had ended count for nothing when the agent is started again",
            Any,
            Alone,
            terminated_are_accounted
        ),
        row!(
            50,
            "a pod that had ended and was deleted meanwhile goes once nobody holds it, and leaves nothing",
            Any,
            Alone,
            terminated_and_deleted
        ),
        row!(
            50,
            "a pod that the node cannot take and that came and was deleted meanwhile is removed",
            Any,
            Alone,
            inadmissible_and_deleted
        ),
        row!(
            50,
            "a pod that runs and that the node cannot take any more is ended",
            Any,
            Alone,
            inadmissible_by_now
        ),
        row!(
            51,
            "init containers that were done are not run again",
            Any,
            Alone,
            init_stays_done
        ),
        row!(
            51,
            "containers and statuses are as they were",
            Any,
            Alone,
            nothing_changes
        ),
        row!(
            51,
            "a new image meanwhile restarts the container",
            Any,
            Alone,
            new_image
        ),
        row!(
            52,
            "a pod deleted by force while the agent is down is cleaned up",
            Any,
            Alone,
            unknown_api_pod
        ),
        row!(
            52,
            "a static pod whose file went while the agent was down is cleaned up",
            Any,
            Alone,
            unknown_static_pod
        ),
    ]
}

fn sleeper() -> Value {
    json!({"containers": [{"command": ["sleep", "1000"]}]})
}

/// Waits until the agent has acted on pods: one that is new runs.
pub(super) async fn agent_acts(world: &World) -> Result<()> {
    world.pod("canary", sleeper()).await?;
    world.ready("canary").await?;
    Ok(())
}

async fn terminated_are_accounted(world: World) -> Result<()> {
    for index in 0..5 {
        // All of the node's room, in pods that are over.
        let main = json!({"command": ["true"], "resources": {"requests": {"cpu": "200m"}}});
        let spec = json!({"restartPolicy": "Never", "containers": [main]});
        world.pod(&format!("p-{index}"), spec).await?;
    }
    // All of it: what is still being ended has its room.
    let is_at_rest =
        |pod: &Pod| is_over(pod) && condition(pod, "PodReadyToStartContainers") == "False";
    for index in 0..5 {
        world
            .until(&format!("p-{index}"), "it has ended", is_at_rest)
            .await?;
    }
    world.node.stop_agent().await?;
    // Among the first that the next agent hears of.
    let cpu = world.node.allocatable_milli_cpu().await?;
    let main = json!({"command": ["sleep", "1000"], "resources": {"requests": {"cpu": format!("{}m", cpu - 100)}}});
    world.pod("large", json!({"containers": [main]})).await?;
    world.node.start_agent().await?;
    world.ready("large").await?;
    for index in 0..5 {
        let pod = world.get(&format!("p-{index}")).await?;
        ensure!(phase(&pod) == "Succeeded" && restarts(&pod, "main") == 0);
    }
    Ok(())
}

async fn terminated_and_deleted(world: World) -> Result<()> {
    let metadata = json!({"finalizers": ["example.com/stay"]});
    let spec = json!({"restartPolicy": "Never", "containers": [{"command": ["true"]}]});
    world.pod_with("p", metadata, spec).await?;
    let pod = world.until("p", "it has ended", is_over).await?;
    world.node.stop_agent().await?;
    world.delete("p", None).await?;
    world.node.start_agent().await?;
    agent_acts(&world).await?;
    let uid = pod.metadata.uid.context("it has a uid")?;
    let pod = world.get("p").await?;
    ensure!(pod.metadata.deletion_timestamp.is_some() && phase(&pod) == "Succeeded");
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world
        .api::<Pod>()
        .patch("p", &PatchParams::default(), &patch)
        .await?;
    world.gone("p").await?;
    cleaned_up(&world, &uid).await
}

async fn inadmissible_and_deleted(world: World) -> Result<()> {
    world.node.stop_agent().await?;
    let mut spec = sleeper();
    spec["nodeSelector"] = json!({"example.com/none": "here"});
    spec["terminationGracePeriodSeconds"] = json!(30);
    world.pod("p", spec).await?;
    world.delete("p", None).await?;
    // Somebody has to say that nothing of it runs.
    ensure!(world.get("p").await?.metadata.deletion_timestamp.is_some());
    world.node.start_agent().await?;
    world.gone("p").await
}

async fn inadmissible_by_now(world: World) -> Result<()> {
    label_node(&world, json!("here")).await?;
    let mut spec = sleeper();
    spec["nodeSelector"] = json!({"example.com/label": "here"});
    // The agent hears of the label in its own time.
    let taken = async || {
        let there = world.api::<Pod>().get_opt("p").await?;
        if there.as_ref().is_none_or(is_over) {
            if there.is_some() {
                world.delete("p", Some(0)).await?;
                world.gone("p").await?;
            }
            world.pod("p", spec.clone()).await?;
        }
        Ok(there.filter(is_ready))
    };
    let pod = eventually("the node takes the pod", taken).await?;
    world.node.stop_agent().await?;
    label_node(&world, json!(null)).await?;
    world.node.start_agent().await?;
    let pod = {
        let uid = pod.metadata.uid;
        let ended = world.until("p", "it has failed", is_over).await?;
        ensure!(ended.metadata.uid == uid);
        ended
    };
    let reason = pod.status.as_ref().and_then(|status| status.reason.clone());
    ensure!(
        phase(&pod) == "Failed" && reason.as_deref() == Some("NodeAffinity"),
        "{reason:?}"
    );
    eventually("its container has ended", async || {
        Ok((!world.node.runs("p").await?).then_some(()))
    })
    .await
}

/// Sets a label of the node, or removes it.
async fn label_node(world: &World, value: Value) -> Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"example.com/label": value}}}));
    let nodes = kube_client::Api::<k8s_openapi::api::core::v1::Node>::all(world.client.clone());
    nodes
        .patch(world.node.name(), &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn init_stays_done(world: World) -> Result<()> {
    let script = "echo x >> $KUBEWRIGHT_ROOT/v/count";
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let spec = json!({
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [{"command": ["sh", "-c", script], "volumeMounts": mount}],
        "containers": [{"command": ["sleep", "1000"], "volumeMounts": mount}],
    });
    world.pod("p", spec).await?;
    let before = world.ready("p").await?;
    // What ended may have been cleaned up by the time that the next agent looks.
    world.node.remove_dead_containers().await?;
    world.node.stop_agent().await?;
    world.node.start_agent().await?;
    agent_acts(&world).await?;
    let after = world.get("p").await?;
    ensure!(container_id(&before, "main") == container_id(&after, "main") && is_ready(&after));
    let count = world
        .exec("p", &["sh", "-c", "cat $KUBEWRIGHT_ROOT/v/count"])
        .await?;
    ensure!(count == "x\n", "{count:?}");
    Ok(())
}

async fn nothing_changes(world: World) -> Result<()> {
    world.pod("p", sleeper()).await?;
    // A machine that is slow for once is not what is to be seen.
    let probe = json!({
        "exec": {"command": ["true"]},
        "periodSeconds": 1,
        "timeoutSeconds": 30,
        "failureThreshold": 100,
    });
    let probed =
        json!({"command": ["sleep", "1000"], "readinessProbe": probe, "startupProbe": probe});
    world.pod("probed", json!({"containers": [probed]})).await?;
    let before = [world.ready("p").await?, world.ready("probed").await?];
    let process = world.node.processes().await?;
    world.node.stop_agent().await?;
    world.node.start_agent().await?;
    agent_acts(&world).await?;
    for before in before {
        let name = before.metadata.name.clone().unwrap_or_default();
        let after = world.get(&name).await?;
        ensure!(
            container_id(&before, "main") == container_id(&after, "main")
                && restarts(&after, "main") == 0
        );
        ensure!(is_ready(&after), "{name} is still ready");
        let since = |pod: &Pod| {
            let status = pod.status.clone().unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            conditions
                .into_iter()
                .map(|it| (it.type_, it.last_transition_time))
                .collect::<Vec<_>>()
        };
        ensure!(
            since(&before) == since(&after),
            "no condition went away and came back"
        );
    }
    let after = world.node.processes().await?;
    ensure!(
        process.iter().all(|process| after.contains(process)),
        "the same processes run"
    );
    Ok(())
}

async fn new_image(world: World) -> Result<()> {
    world.pod("p", sleeper()).await?;
    let before = world.ready("p").await?;
    world.node.stop_agent().await?;
    let patch = json!({"spec": {"containers": [{"name": "main", "image": "localhost/busybox:2"}]}});
    let params = PatchParams::default();
    world
        .api::<Pod>()
        .patch("p", &params, &Patch::Strategic(patch))
        .await?;
    world.node.start_agent().await?;
    let is_new =
        |pod: &Pod| is_ready(pod) && container_id(pod, "main") != container_id(&before, "main");
    let after = world
        .until("p", "its container was replaced", is_new)
        .await?;
    ensure!(restarts(&after, "main") == 1);
    let last = container(&after, "main").and_then(|status| status.last_state.clone());
    ensure!(last.and_then(|state| state.terminated).is_some());
    Ok(())
}

async fn cleaned_up(world: &World, uid: &str) -> Result<()> {
    eventually("nothing of it is left in the runtime", async || {
        let left = world.node.sandboxes(uid).await?;
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    eventually("nothing of it is left on disk", async || {
        let directory = world.node.root_dir().join("pods").join(uid);
        Ok((!directory.exists()).then_some(()))
    })
    .await
}

async fn unknown_api_pod(world: World) -> Result<()> {
    world.pod("p", sleeper()).await?;
    let pod = world.ready("p").await?;
    world.node.stop_agent().await?;
    world.delete("p", Some(0)).await?;
    world.gone("p").await?;
    world.node.start_agent().await?;
    cleaned_up(&world, &pod.metadata.uid.context("it has a uid")?).await
}

async fn unknown_static_pod(world: World) -> Result<()> {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "s", "namespace": world.namespace},
        "spec": {"containers": [{"name": "main", "image": IMAGE, "command": ["sleep", "1000"]}]},
    });
    let path = world.node.manifests().join("s.json");
    std::fs::write(&path, manifest.to_string())?;
    let mirror = format!("s-{}", world.node.name());
    let there = async || Ok(world.api::<Pod>().get_opt(&mirror).await?.filter(is_ready));
    let pod = eventually("the static pod runs", there).await?;
    ensure!(ended(&pod, "main").is_none());
    let annotations = pod.metadata.annotations.unwrap_or_default();
    let uid = annotations
        .get("kubernetes.io/config.hash")
        .context("it has a hash")?
        .clone();
    ensure!(!world.node.sandboxes(&uid).await?.is_empty());
    world.node.stop_agent().await?;
    std::fs::remove_file(&path)?;
    world.node.start_agent().await?;
    world.gone(&mirror).await?;
    cleaned_up(&world, &uid).await
}
