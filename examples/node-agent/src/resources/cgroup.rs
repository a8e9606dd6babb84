//! Cgroups: what they are called, what is written to size them, and those of pods.

mod hierarchy;
mod limits;
mod name;
mod pods;
mod tree;

pub use hierarchy::{CgroupHierarchy, CgroupVersion, CgroupWrite};
pub use limits::{CgroupLimits, besteffort_limits, burstable_limits, node_limits};
pub use name::{CgroupDriver, CgroupName};
pub use pods::PodCgroups;
pub use tree::apply;
