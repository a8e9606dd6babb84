use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Pod, Taint};

use super::Rejection;
use super::taints::is_tolerated;
use crate::pod::is_critical;
use crate::resources::QosClass;

/// Something that the node runs short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodePressure {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Process ids.
    Pid,
}

impl NodePressure {
    /// The condition of the node that tells of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "MemoryPressure",
            Self::Disk => "DiskPressure",
            Self::Pid => "PIDPressure",
        }
    }
}

/// A node that runs short takes no more pods; but critical ones, and if it is only memory, those
/// that have some of their own or are content without.
///
/// Answers to the `Admit` of kubelet's eviction manager.
pub(super) fn check(pod: &Pod, pressures: &[NodePressure]) -> Result<(), Rejection> {
    if pressures.is_empty() || is_critical(pod) {
        return Ok(());
    }
    let is_memory_only = pressures.iter().all(|it| *it == NodePressure::Memory);
    if is_memory_only && (QosClass::of(pod) != QosClass::BestEffort || is_content(pod)) {
        return Ok(());
    }
    let mut conditions = String::new();
    for (index, pressure) in pressures.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        let _ = write!(conditions, "{space}{}", pressure.as_str());
    }
    let message = format!("The node had condition: [{conditions}]. ");
    Err(Rejection::new("Evicted", message))
}

fn is_content(pod: &Pod) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/memory-pressure".into(),
        effect: "NoSchedule".into(),
        ..Default::default()
    };
    is_tolerated(pod, &taint)
}
