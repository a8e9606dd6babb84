use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kubewright_quantity::Quantity;

use super::Rejection;
use crate::resources::{Amounts, PodAmounts, amounts};

/// A pod has room if what it requests is left of what the node has for pods.
///
/// Resources of others, such as devices, count if the node has any of them.
/// Answers to upstream's `noderesources.Fits`.
pub(super) fn check(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Result<(), Rejection> {
    let status = node.status.as_ref();
    let allocatable = amounts(status.and_then(|status| status.allocatable.as_ref()));
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    let room = allocatable.get("pods").map_or(0, |pods| pods.value());
    if count >= room {
        return Err(insufficient("pods", 1, count, room));
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
        let is_others = name.contains('/') && !name.starts_with("kubernetes.io/");
        if wanted.is_zero() || (is_others && !allocatable.contains_key(name)) {
            continue;
        }
        if used + wanted > capacity {
            let number = |amount: Quantity| match name {
                "cpu" => amount.milli_value(),
                _ => amount.value(),
            };
            let (wanted, used) = (number(wanted), number(used));
            return Err(insufficient(name, wanted, used, number(capacity)));
        }
    }
    Ok(())
}

/// The names of resources, those first that are looked at first.
fn in_order(requested: &Amounts) -> Vec<&str> {
    let first = ["cpu", "memory", "ephemeral-storage"];
    let others = requested.keys().map(String::as_str);
    let others = others.filter(|name| !first.contains(name));
    first.into_iter().chain(others).collect()
}

fn insufficient(name: &str, wanted: i64, used: i64, capacity: i64) -> Rejection {
    let message = format!(
        "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
    );
    Rejection::new(format!("OutOf{name}"), message)
}
