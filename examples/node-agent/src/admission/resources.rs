use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kubewright_quantity::Quantity;

use super::Rejection;
use crate::resources::{Amounts, PodAmounts, amounts};

/// A resource of which a node has too little left for a pod.
///
/// CPU is counted in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// `cpu`, `memory`, …; `pods` if the node has as many as it takes.
    pub resource: String,
    /// How much the pod asks for.
    pub wanted: i64,
    /// How much of it others have.
    pub used: i64,
    /// How much the node has for pods.
    pub capacity: i64,
}

/// What keeps a pod from having room: it does if what it requests is left of what the node has for
/// pods.
///
/// Resources of others, such as devices, count if the node has any of them.
pub(super) fn shortages_here(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Vec<Shortage> {
    let mut shortages = shortages(pod, others, node);
    shortages.retain(|it| !is_unknown_here(&it.resource, node));
    shortages
}

/// What a node has too little of for a pod, beside others that are on it and have not ended.
///
/// Answers to upstream's `noderesources.Fits`.
pub fn shortages(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Vec<Shortage> {
    let mut short = Vec::new();
    let allocatable = allocatable(node);
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    let room = allocatable.get("pods").map_or(0, |pods| pods.value());
    if count >= room {
        short.push(Shortage::of("pods", 1, count, room));
    }
    let requested = PodAmounts::of(pod).requests;
    let mut used = Amounts::new();
    for other in others {
        for (name, amount) in PodAmounts::of(other).requests {
            let entry = used.entry(name).or_insert(Quantity::ZERO);
            *entry = *entry + amount;
        }
    }
    for name in in_order(&requested) {
        let amount = |of: &Amounts| of.get(name).copied().unwrap_or(Quantity::ZERO);
        let (wanted, used, capacity) = (amount(&requested), amount(&used), amount(&allocatable));
        if !wanted.is_zero() && used + wanted > capacity {
            let number = |amount: Quantity| match name {
                "cpu" => amount.milli_value(),
                _ => amount.value(),
            };
            let (wanted, used) = (number(wanted), number(used));
            short.push(Shortage::of(name, wanted, used, number(capacity)));
        }
    }
    short
}

fn allocatable(node: &Node) -> Amounts {
    let status = node.status.as_ref();
    amounts(status.and_then(|status| status.allocatable.as_ref()))
}

/// Whether it is a resource of others, of which the node has none at all.
///
/// Whoever provides it may do so later, and admits pods itself.
fn is_unknown_here(resource: &str, node: &Node) -> bool {
    let is_others = resource.contains('/') && !resource.starts_with("kubernetes.io/");
    is_others && !allocatable(node).contains_key(resource)
}

/// The names of resources, those first that are looked at first.
fn in_order(requested: &Amounts) -> Vec<&str> {
    let first = ["cpu", "memory", "ephemeral-storage"];
    let others = requested.keys().map(String::as_str);
    let others = others.filter(|name| !first.contains(name));
    first.into_iter().chain(others).collect()
}

impl Shortage {
    fn of(resource: &str, wanted: i64, used: i64, capacity: i64) -> Self {
        Self {
            resource: resource.to_owned(),
            wanted,
            used,
            capacity,
        }
    }

    pub(super) fn rejection(&self) -> Rejection {
        let Self {
            resource,
            wanted,
            used,
            capacity,
        } = self;
        let message = format!(
            "Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {capacity}"
        );
        Rejection::new(format!("OutOf{resource}"), message)
    }
}
