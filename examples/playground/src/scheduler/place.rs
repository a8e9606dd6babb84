use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::filter::{obstacles, unknown_demand};
use super::pending::takes_room;
use super::score::least_allocated;
use super::unschedulable::Unschedulable;

/// The name of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeName(String);

/// Decides on which of the nodes a pod is to run, beside the pods that there are.
///
/// Of the nodes that can take it, it is the one that has the most of its CPU and memory left over
/// then; among equals the one with the fewest pods, and then the one whose name comes first.
///
/// # Errors
///
/// Why no node can take it.
pub fn place(pod: &Pod, nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Result<NodeName, Unschedulable> {
    if let Some(demand) = unknown_demand(pod) {
        return Err(Unschedulable::Unsupported(demand));
    }
    if nodes.is_empty() {
        return Err(Unschedulable::NoNodes);
    }
    let mut best = None;
    let mut against = Vec::new();
    for node in nodes {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let others = on(name, pods);
        let obstacles = obstacles(pod, node, &others);
        if obstacles.is_empty() {
            let rank = (
                least_allocated(pod, node, &others),
                Reverse(others.len()),
                Reverse(name),
            );
            best = best.max(Some(rank));
        }
        against.extend(obstacles);
    }
    match best {
        Some((_, _, Reverse(name))) => Ok(NodeName(name.to_owned())),
        None => Err(Unschedulable::none_fits(nodes.len(), against)),
    }
}

/// The pods that take room on a node.
fn on(node: &str, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let is_there = |pod: &&Arc<Pod>| {
        let name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        name == Some(node) && takes_room(pod)
    };
    pods.iter().filter(is_there).cloned().collect()
}

impl NodeName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
