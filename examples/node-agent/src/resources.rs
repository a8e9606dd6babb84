//! CPU, memory and other resources: what pods ask for, and what becomes of it in cgroups.

mod amount;
mod cgroup;
mod container;
mod cpu;
mod oom;
mod pod;
mod qos;

pub use amount::{Amounts, amount, amounts};
pub use cgroup::{
    CgroupDriver, CgroupHierarchy, CgroupLimits, CgroupName, CgroupVersion, CgroupWrite,
    PodCgroups, apply, besteffort_limits, burstable_limits, node_limits,
};
pub use container::{ContainerResources, ResourceSettings};
pub use cpu::{cpu_quota, cpu_shares, cpu_weight};
pub use oom::oom_score_adjust;
pub use pod::{PodAmounts, pod_cgroup_limits};
pub use qos::QosClass;
