use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use kubewright_quantity::Quantity;

use super::{QosClass, amount};
use crate::pod::is_sidecar;

/// That of containers whose resources are guaranteed.
const GUARANTEED: i64 = -997;
/// That of containers that ask for nothing: they go first.
const BEST_EFFORT: i64 = 1000;

/// How the kernel is to rank a container when memory runs out; the highest goes first.
///
/// A burstable container ranks by how little of the node's memory it asked for; a sidecar never
/// ranks above the containers it serves. Answers to kubelet's `GetContainerOOMScoreAdjust`.
pub fn oom_score_adjust(pod: &Pod, container: &Container, memory_capacity: i64) -> i64 {
    let spec = pod.spec.as_ref();
    let priority_class = spec.and_then(|spec| spec.priority_class_name.as_deref());
    if priority_class == Some("system-node-critical") {
        return GUARANTEED;
    }
    match QosClass::of(pod) {
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => {
            let spare = spec.map_or(0, spare_memory);
            let adjust = burstable(container, spare, memory_capacity);
            let serves =
                is_sidecar(container) && spec.is_some_and(|spec| is_init(spec, &container.name));
            let served = spec.iter().flat_map(|spec| &spec.containers);
            let least = served
                .map(|served| burstable(served, spare, memory_capacity))
                .min()
                .filter(|_| serves);
            // Neither as safe as a guaranteed container nor as lost as one that asked for nothing.
            least
                .map_or(adjust, |least| adjust.min(least))
                .clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

fn is_init(spec: &PodSpec, name: &str) -> bool {
    let mut containers = spec.init_containers.iter().flatten();
    containers.any(|container| container.name == name)
}

fn burstable(container: &Container, spare: i64, capacity: i64) -> i64 {
    let request = i128::from(memory_request(container) + spare);
    let share = 1000 * request / i128::from(capacity.max(1));
    1000 - i64::try_from(share).unwrap_or(i64::MAX / 2)
}

fn memory_request(container: &Container) -> i64 {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    amount(requests, "memory").map_or(0, Quantity::value)
}

/// Each container's part of the memory that the pod as a whole asks for beyond its containers'.
fn spare_memory(spec: &PodSpec) -> i64 {
    let resources = spec.resources.as_ref();
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let Some(whole) = amount(requests, "memory") else {
        return 0;
    };
    let init = spec.init_containers.iter().flatten();
    let sidecars = init.filter(|container| is_sidecar(container));
    let running: Vec<_> = spec.containers.iter().chain(sidecars).collect();
    let asked: i64 = running
        .iter()
        .map(|container| memory_request(container))
        .sum();
    let count = i64::try_from(running.len()).unwrap_or(i64::MAX).max(1);
    (whole.value() - asked).max(0) / count
}
