//! A runtime that was there before: it is borrowed empty, and given back empty.

use anyhow::{Result, bail};
use kubewright_cri::Runtime;

/// Refuses a runtime that has pods.
///
/// A node agent ends all pods of its runtime that its API server does not know, which is right on a
/// node and would be a disaster for whoever's they are here.
pub(super) async fn refuse_others(endpoint: &str, runtime: &Runtime) -> Result<()> {
    let pods = runtime.list_pod_sandbox(None).await?;
    let Some(first) = pods.first() else {
        return Ok(());
    };
    let metadata = first.metadata.clone().unwrap_or_default();
    bail!(
        "the container runtime at {endpoint} has {} pods already, such as {}/{}, and the node agent \
         would end them; a playground needs one of its own",
        pods.len(),
        metadata.namespace,
        metadata.name
    )
}

/// Removes all pods of a runtime, which are the playground's.
pub(super) async fn sweep(runtime: &Runtime) -> Result<()> {
    for pod in runtime.list_pod_sandbox(None).await? {
        runtime.stop_pod_sandbox(&pod.id).await?;
        runtime.remove_pod_sandbox(&pod.id).await?;
    }
    Ok(())
}
