use std::ops::ControlFlow;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube_client::api::Api;

use super::Tour;
use crate::scheduler::is_ready;

impl Tour<'_> {
    /// Waits until the agent has registered its node, and says that it is ready.
    pub(super) async fn meet_the_node(&mut self) -> Result<String> {
        let nodes: Api<Node> = Api::all(self.cluster.client().clone());
        let name = self.cluster.node_name();
        self.stage
            .until_seen(async |_| {
                Ok(match nodes.get_opt(name).await? {
                    None => ControlFlow::Continue(format!("{name} is not registered")),
                    Some(node) if !is_ready(&node) => {
                        ControlFlow::Continue(format!("{name} is not ready"))
                    }
                    Some(node) => ControlFlow::Break(in_words(name, node)),
                })
            })
            .await
    }
}

/// What a node has for pods, and what runs them.
fn in_words(name: &str, node: Node) -> String {
    let status = node.status.unwrap_or_default();
    let allocatable = status.allocatable.unwrap_or_default();
    let amount = |resource: &str| allocatable.get(resource).map_or("no", |it| it.0.as_str());
    let runtime = status.node_info.map(|info| info.container_runtime_version);
    format!(
        "{name} is ready, with {} CPUs and {} of memory for {} pods, on {}",
        amount("cpu"),
        amount("memory"),
        amount("pods"),
        runtime.unwrap_or_default()
    )
}
