use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kubewright_quantity::Quantity;
use node_agent::resources::{PodAmounts, amount};

/// What a pod counts for that requests none: 0.1 CPUs, 200 Mi of memory.
const LITTLE: [(&str, i64); 2] = [("cpu", 100), ("memory", 200 * 1024 * 1024)];
/// The score of a node that would be empty.
const WHOLE: i128 = 100;

/// How much of a node's CPU and memory would be left over, from 0 to 100.
///
/// Pods that request nothing count for a little, so that they are spread as well.
/// Answers to upstream's `NodeResourcesLeastAllocated`, where it is containers that count so.
pub(super) fn least_allocated(pod: &Pod, node: &Node, others: &[Arc<Pod>]) -> i128 {
    let status = node.status.as_ref();
    let allocatable = status.and_then(|status| status.allocatable.as_ref());
    let left = LITTLE.map(|(resource, little)| {
        let units = |quantity: Quantity| match resource {
            "cpu" => i128::from(quantity.milli_value()),
            _ => i128::from(quantity.value()),
        };
        let requested = |pod: &Pod| {
            let requests = PodAmounts::of(pod).requests;
            let amount = requests.get(resource).copied().map(units);
            amount
                .filter(|amount| *amount > 0)
                .unwrap_or(i128::from(little))
        };
        let capacity = amount(allocatable, resource).map_or(0, units);
        let used = others.iter().map(|pod| requested(pod)).sum::<i128>() + requested(pod);
        match capacity > used {
            true => (capacity - used) * WHOLE / capacity,
            false => 0,
        }
    });
    left.iter().sum::<i128>() / 2
}
