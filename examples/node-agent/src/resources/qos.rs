use std::fmt;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use kubewright_quantity::Quantity;

use super::amount::add;
use super::{Amounts, amounts};

/// How well a pod's resources are kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QosClass {
    /// Every container has limits of CPU and memory, and requests as much.
    Guaranteed,
    /// Some container has a request or a limit.
    Burstable,
    /// None has.
    BestEffort,
}

/// The resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

impl QosClass {
    /// The class of a pod, by its spec.
    ///
    /// Resources of the pod as a whole count instead of its containers', if it has any.
    /// Answers to upstream's `ComputePodQOS`.
    pub fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else {
            return Self::BestEffort;
        };
        let containers = spec.containers.iter();
        let containers = containers.chain(spec.init_containers.iter().flatten());
        let resources: Vec<_> = match &spec.resources {
            Some(resources) => vec![Some(resources)],
            None => containers
                .map(|container| container.resources.as_ref())
                .collect(),
        };
        let mut requests = Amounts::new();
        let mut limits = Amounts::new();
        let mut everyone_is_limited = true;
        for resources in resources {
            let (requested, limited) = counted(resources);
            everyone_is_limited &= limited.len() == COUNTED.len();
            add(&mut requests, &requested);
            add(&mut limits, &limited);
        }
        if requests.is_empty() && limits.is_empty() {
            Self::BestEffort
        } else if everyone_is_limited && requests == limits {
            Self::Guaranteed
        } else {
            Self::Burstable
        }
    }
}

/// The requests and limits that count and are more than nothing.
fn counted(resources: Option<&ResourceRequirements>) -> (Amounts, Amounts) {
    let positive = |list| {
        let mut amounts = amounts(list);
        amounts.retain(|name, amount| COUNTED.contains(&&**name) && *amount > Quantity::ZERO);
        amounts
    };
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    (positive(requests), positive(limits))
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        })
    }
}
