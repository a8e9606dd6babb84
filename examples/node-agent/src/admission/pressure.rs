use k8s_openapi::api::core::v1::{Pod, Taint};

use super::Rejection;
use super::taints::is_tolerated;
use crate::node::Pressure;
use crate::pod::is_critical;
use crate::resources::QosClass;

/// A node that runs short takes no more pods; but critical ones, and if it is only memory, those
/// that have some of their own or are content without.
///
/// Answers to the `Admit` of kubelet's eviction manager.
///
/// # Errors
///
/// It does not take this one.
pub fn check_pressure(pod: &Pod, pressures: &[Pressure]) -> Result<(), Rejection> {
    if pressures.is_empty() || is_critical(pod) {
        return Ok(());
    }
    let is_memory_only = pressures.iter().all(|it| *it == Pressure::Memory);
    if is_memory_only && (QosClass::of(pod) != QosClass::BestEffort || is_content(pod)) {
        return Ok(());
    }
    let conditions: Vec<_> = pressures.iter().map(|it| it.as_str()).collect();
    let conditions = conditions.join(" ");
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
