//! Cgroups: what they are called, and what is written to size them.

mod hierarchy;
mod limits;
mod name;

pub use hierarchy::{CgroupHierarchy, CgroupVersion, CgroupWrite, apply};
pub use limits::{CgroupLimits, besteffort_limits, burstable_limits, node_limits};
pub use name::{CgroupDriver, CgroupName};
