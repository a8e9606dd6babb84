use k8s_openapi::api::core::v1::Pod;
use kubewright_quantity::Quantity;

use crate::resources::{Amounts, PodAmounts, QosClass, cpu_shares};

/// What a cgroup is set to. `None` leaves as it is what the kernel has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// The share of the CPU where it is short, as cgroup v1 counts it.
    pub cpu_shares: Option<u64>,
    /// The CPU time in each period and the period, in microseconds; a time of 0 is no limit.
    pub cpu_quota: Option<(i64, i64)>,
    /// The most memory, in bytes.
    pub memory: Option<i64>,
    /// The most processes.
    pub pids: Option<i64>,
}

/// What the cgroup of all pods is set to: what the node has to give them of `cpu`, `memory` and `pid`.
///
/// Answers to kubelet's `getCgroupConfig`.
pub fn node_limits(allocatable: &Amounts) -> CgroupLimits {
    let cpu = allocatable.get("cpu");
    CgroupLimits {
        cpu_shares: cpu.map(|cpu| cpu_shares(cpu.milli_value())),
        cpu_quota: None,
        memory: allocatable.get("memory").map(|memory| memory.value()),
        pids: allocatable.get("pid").map(|pids| pids.value()),
    }
}

/// What the cgroup of all burstable pods is set to: the shares of what they ask for together.
///
/// Answers to kubelet's `QOSContainerManager`.
pub fn burstable_limits<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> CgroupLimits {
    let burstable = pods.into_iter();
    let burstable = burstable.filter(|pod| QosClass::of(pod) == QosClass::Burstable);
    let requests = burstable.filter_map(|pod| PodAmounts::of(pod).requests.get("cpu").copied());
    let requests: Quantity = requests.sum();
    CgroupLimits {
        cpu_shares: Some(cpu_shares(requests.milli_value())),
        ..CgroupLimits::default()
    }
}

/// What the cgroup of all pods that ask for nothing is set to: the least shares there are.
pub fn besteffort_limits() -> CgroupLimits {
    CgroupLimits {
        cpu_shares: Some(cpu_shares(0)),
        ..CgroupLimits::default()
    }
}
