use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use kubewright_quantity::Quantity;

use super::{amount, cpu_quota, cpu_shares, oom_score_adjust};

/// What the agent is set to do about resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceSettings {
    /// Whether limits of CPU are enforced by quota. Default: they are.
    pub cpu_cfs_quota: bool,
    /// Over how many microseconds a quota counts. Default: 100 000.
    pub cpu_cfs_quota_period: i64,
    /// The memory of the node in bytes.
    pub memory_capacity: i64,
}

/// What the runtime is to enforce on one container. Fields at 0 enforce nothing.
///
/// Swap and huge pages are not limited; devices are no matter of this agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerResources {
    /// The period of the quota, in microseconds.
    pub cpu_period: i64,
    /// The CPU time in each period, in microseconds.
    pub cpu_quota: i64,
    /// The share of the CPU where it is short.
    pub cpu_shares: u64,
    /// The most memory, in bytes.
    pub memory_limit: i64,
    /// How the kernel ranks its processes when memory runs out.
    pub oom_score_adj: i64,
}

impl ResourceSettings {
    /// The defaults on a node with this many bytes of memory.
    pub fn new(memory_capacity: i64) -> Self {
        Self {
            cpu_cfs_quota: true,
            cpu_cfs_quota_period: 100_000,
            memory_capacity,
        }
    }

    /// With another period over which limits of CPU are enforced; `None` for not at all.
    #[must_use]
    pub fn with_quota(mut self, period: Option<Duration>) -> Self {
        self.cpu_cfs_quota = period.is_some();
        if let Some(period) = period {
            self.cpu_cfs_quota_period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        }
        self
    }
}

impl ContainerResources {
    /// What is enforced on a container of a pod.
    ///
    /// Without a request of CPU its limit counts as one.
    /// Answers to kubelet's `generateLinuxContainerResources`.
    pub fn of(pod: &Pod, container: &Container, settings: ResourceSettings) -> Self {
        let resources = container.resources.as_ref();
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        let cpu_limit = amount(limits, "cpu");
        let cpu_request = amount(requests, "cpu").or(cpu_limit);
        let milli_limit = cpu_limit.map_or(0, Quantity::milli_value);
        let memory_limit = amount(limits, "memory").map_or(0, Quantity::value);
        let mut enforced = Self {
            cpu_shares: cpu_shares(cpu_request.map_or(0, Quantity::milli_value)),
            memory_limit: memory_limit.max(0),
            oom_score_adj: oom_score_adjust(pod, container, settings.memory_capacity),
            ..Self::default()
        };
        if settings.cpu_cfs_quota {
            enforced.cpu_period = settings.cpu_cfs_quota_period;
            enforced.cpu_quota = cpu_quota(milli_limit, enforced.cpu_period);
        }
        enforced
    }
}
