//! Whether a pod may run on the node.
//!
//! A source may have bound a pod to a node that cannot have it: a scheduler may have been mistaken,
//! and static pods ask nobody. Everything here is pure.
//!
//! What a scheduler asks as well can be asked alone: [`matches_affinity`], [`untolerated_taint`],
//! [`has_free_ports`], [`shortages`].

mod affinity;
mod node_name;
mod os;
mod ports;
mod preemption;
mod pressure;
mod resources;
mod taints;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::node::Pressure;
use crate::pod::{check_supported, is_critical};
use crate::security::sysctls;

pub use affinity::matches_affinity;
pub use ports::has_free_ports;
pub use preemption::preempted;
pub use pressure::check_pressure;
pub use resources::{Shortage, shortages};
pub use taints::{is_tolerated, untolerated_taint};

/// Why a pod may not run on the node. Its status fails with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// In a word: `OutOfcpu`, `NodeAffinity`…
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What the node has.
#[derive(Clone, Copy, Debug)]
pub struct NodeState<'a> {
    /// Its labels, taints, name and allocatable resources.
    pub node: &'a Node,
    /// What it runs short of.
    pub pressures: &'a [Pressure],
}

impl Rejection {
    fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// A check that is the scheduler's as well has failed.
    fn predicate(name: &str, why: &str) -> Self {
        Self::new(name, format!("Predicate {name} failed: {why}"))
    }

    /// A critical pod is to run in its place.
    pub(crate) fn preempted() -> Self {
        let told = preempted();
        Self::new(told.reason, told.message)
    }

    /// What the status of the pod says.
    pub fn status_message(&self) -> String {
        format!("Pod was rejected: {}", self.message)
    }
}

/// Decides whether a pod may run on the node, beside others that were admitted and have not ended.
///
/// A critical pod that finds no room is taken if others can make it: these are returned, and have
/// to end before. Answers to kubelet's admit handlers and its `CriticalPodAdmissionHandler`.
///
/// # Errors
///
/// The first thing that speaks against it.
pub fn admit(
    pod: &Pod,
    others: &[Arc<Pod>],
    facts: NodeState<'_>,
) -> Result<Vec<Arc<Pod>>, Rejection> {
    check_supported(pod).map_err(|it| Rejection::new("UnsupportedField", it.to_string()))?;
    check_pressure(pod, facts.pressures)?;
    if let Some(spec) = &pod.spec {
        sysctls(spec).map_err(|it| Rejection::new("SysctlForbidden", it.to_string()))?;
    }
    os::check(pod)?;
    let shortages = resources::shortages_here(pod, others, facts.node);
    if let Some(shortage) = shortages.first()
        && !is_critical(pod)
    {
        return Err(shortage.rejection());
    }
    affinity::check(pod, facts.node)?;
    node_name::check(pod, facts.node)?;
    ports::check(pod, others)?;
    taints::check(pod, facts.node)?;
    preemption::pods_to_preempt(pod, others, &shortages)
}
