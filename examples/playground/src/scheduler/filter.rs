use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use node_agent::admission::{
    Shortage, has_free_ports, is_tolerated, matches_affinity, shortages, untolerated_taint,
};

use super::unschedulable::Obstacle;

/// The taints that keep new pods away. Others are wishes.
const KEEPING_AWAY: [&str; 2] = ["NoSchedule", "NoExecute"];

/// What speaks against a node for a pod, beside those that are on it; nothing if it can take it.
///
/// The first kind of obstacle is told, and of resources all that are short, as upstream's filters do.
pub(super) fn obstacles(pod: &Pod, node: &Node, others: &[Arc<Pod>]) -> Vec<Obstacle> {
    let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    if is_cordoned && !is_tolerated(pod, &taint("node.kubernetes.io/unschedulable")) {
        return vec![Obstacle::Unschedulable];
    }
    let mut unwell = conditions_as_taints(node).into_iter();
    if unwell.any(|taint| !is_tolerated(pod, &taint))
        || untolerated_taint(pod, node, &KEEPING_AWAY).is_some()
    {
        return vec![Obstacle::Taint];
    }
    if !matches_affinity(pod, node) {
        return vec![Obstacle::Affinity];
    }
    if !has_free_ports(pod, others) {
        return vec![Obstacle::Ports];
    }
    let short = shortages(pod, others, node);
    short.into_iter().map(Obstacle::from).collect()
}

/// What a pod demands of its place that is not looked at here.
pub(super) fn unknown_demand(pod: &Pod) -> Option<&'static str> {
    let spec = pod.spec.as_ref()?;
    let affinity = spec.affinity.clone().unwrap_or_default();
    let near = affinity.pod_affinity.unwrap_or_default();
    let far = affinity.pod_anti_affinity.unwrap_or_default();
    let is_some = |terms: &Option<Vec<_>>| terms.as_ref().is_some_and(|terms| !terms.is_empty());
    let mut spread = spec.topology_spread_constraints.iter().flatten();
    let mut volumes = spec.volumes.iter().flatten();
    let demands = [
        (
            "required affinity to other pods",
            is_some(&near.required_during_scheduling_ignored_during_execution),
        ),
        (
            "required anti-affinity to other pods",
            is_some(&far.required_during_scheduling_ignored_during_execution),
        ),
        (
            "topology spread constraints that are not to be broken",
            spread.any(|constraint| constraint.when_unsatisfiable == "DoNotSchedule"),
        ),
        (
            "claims of volumes",
            volumes.any(|it| it.persistent_volume_claim.is_some() || it.ephemeral.is_some()),
        ),
        (
            "claims of devices",
            spec.resource_claims
                .as_ref()
                .is_some_and(|claims| !claims.is_empty()),
        ),
    ];
    let unknown = demands.into_iter().find(|(_, is_demanded)| *is_demanded);
    unknown.map(|(name, _)| name)
}

/// The taints that nodes get by their conditions from a node lifecycle controller, where one runs.
///
/// Answers to upstream's `TaintNodesByCondition`.
pub(super) fn conditions_as_taints(node: &Node) -> Vec<Taint> {
    let is = |type_: &str, status: &str| condition(node, type_) == Some(status);
    let mut taints = Vec::new();
    if is("Ready", "Unknown") {
        taints.push(taint("node.kubernetes.io/unreachable"));
    } else if !is_ready(node) {
        taints.push(taint("node.kubernetes.io/not-ready"));
    }
    for (type_, key) in [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        (
            "NetworkUnavailable",
            "node.kubernetes.io/network-unavailable",
        ),
    ] {
        if is(type_, "True") {
            taints.push(taint(key));
        }
    }
    taints
}

/// Whether the kubelet of a node says that it takes pods.
pub fn is_ready(node: &Node) -> bool {
    condition(node, "Ready") == Some("True")
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a str> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|it| it.type_ == type_)?;
    Some(&condition.status)
}

fn taint(key: &str) -> Taint {
    Taint {
        key: key.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

impl From<Shortage> for Obstacle {
    fn from(shortage: Shortage) -> Self {
        match shortage.resource.as_str() {
            "pods" => Self::TooManyPods,
            _ => Self::Insufficient(shortage.resource),
        }
    }
}
