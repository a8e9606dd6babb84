//! Containers that are added to a pod which runs.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Patch, PatchParams};
use serde_json::json;

use crate::table::{Row, row};
use crate::world::{IMAGE, World, container, restarts};

pub(crate) fn rows() -> Vec<Row> {
    vec![row!(
        47,
        "an ephemeral container is started in a pod that runs",
        Any,
        started
    )]
}

async fn started(world: World) -> Result<()> {
    world
        .pod("p", json!({"containers": [{"command": ["sleep", "1000"]}]}))
        .await?;
    let before = world.ready("p").await?;
    let debugger = json!({"name": "debugger", "image": IMAGE, "command": ["sh", "-c", "echo polo; exec sleep 1000"]});
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [debugger]}}));
    world
        .api::<Pod>()
        .patch_ephemeral_containers("p", &PatchParams::default(), &patch)
        .await?;
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
