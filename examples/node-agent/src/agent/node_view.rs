use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::node::{self, NodeWatch};
use crate::resources::{Amounts, amounts};
use crate::runtime;

/// The node as its pods see it: what the API server has of it, or before that and without one, what
/// it would be registered as.
#[derive(Clone)]
pub(super) struct NodeView {
    initial: Arc<Node>,
    watch: Option<NodeWatch>,
    host_ips: Vec<IpAddr>,
    memory: i64,
}

impl NodeView {
    pub(super) fn new(
        initial: Node,
        watch: Option<NodeWatch>,
        facts: &node::NodeFacts,
        host_ips: Vec<IpAddr>,
    ) -> Self {
        Self {
            initial: Arc::new(initial),
            watch,
            host_ips,
            memory: i64::try_from(facts.machine.memory).unwrap_or(i64::MAX),
        }
    }

    /// The node, with the labels and taints that the API server has, if it has any.
    pub(super) fn node(&self) -> Arc<Node> {
        let watched = self.watch.as_ref().and_then(NodeWatch::node);
        // Before its first report it has no resources.
        let watched = watched.filter(|node| {
            let status = node.status.as_ref();
            status.is_some_and(|status| status.allocatable.is_some())
        });
        watched.unwrap_or_else(|| self.initial.clone())
    }

    /// The addresses of the node, the primary one first.
    pub(super) fn host_ips(&self) -> &[IpAddr] {
        &self.host_ips
    }

    /// What the node has to give.
    pub(super) fn allocatable(&self) -> Amounts {
        let node = self.node();
        let status = node.status.as_ref();
        amounts(status.and_then(|status| status.allocatable.as_ref()))
    }

    /// What of the node goes into containers.
    pub(super) fn facts(&self) -> runtime::NodeResources {
        runtime::NodeResources {
            host_ips: self.host_ips.clone(),
            allocatable: self.allocatable(),
            memory_capacity: self.memory,
        }
    }
}
