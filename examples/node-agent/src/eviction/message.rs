use k8s_openapi::api::core::v1::Pod;
use kubewright_quantity::Quantity;

use super::{MetThreshold, PodUsage, Starved};
use crate::pod::containers;
use crate::resources::amount;

/// What is told to people of a pod that is evicted for want of something.
///
/// Answers to upstream's `evictionMessage`.
pub fn eviction_message(met: &MetThreshold, pod: &Pod, usage: Option<&PodUsage>) -> String {
    let starved = met.signal.starved();
    let threshold = met.signal.quantity(met.threshold);
    let available = met.signal.quantity(met.available);
    let mut message = format!(
        "The node was low on resource: {starved}. Threshold quantity: {threshold}, available: {available}. "
    );
    if matches!(starved, Starved::Inodes | Starved::Pids) {
        return message;
    }
    let resource = starved.to_string();
    for container in containers(pod) {
        let name = &container.spec.name;
        let mut used = usage.into_iter().flat_map(|usage| &usage.containers);
        let Some(used) = used.find(|it| it.name == *name).map(|it| it.of(starved)) else {
            continue;
        };
        let resources = container.spec.resources.as_ref();
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        let request = amount(requests, &resource).unwrap_or(Quantity::ZERO);
        if i128::from(used) > i128::from(request.value()) {
            let used = met.signal.quantity(used);
            message.push_str(&format!(
                "Container {name} was using {used}, request is {request}, has larger consumption of {resource}. "
            ));
        }
    }
    message
}
