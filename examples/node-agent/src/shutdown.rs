//! In which order pods end when the machine is shut down.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{is_critical, termination_grace};
use crate::status::Eviction;

const MESSAGE: &str = "Pod was terminated in response to imminent node shutdown.";

/// Pods that end together.
#[derive(Clone, Debug, PartialEq)]
pub struct ShutdownGroup {
    /// How long they may take, all at once.
    pub limit: Duration,
    /// The pods.
    pub pods: Vec<Arc<Pod>>,
}

/// Groups pods as they are to end, one group after the other: critical ones last, so that what
/// others need stays until these have ended.
///
/// `total` is how long all may take, `critical` how much of it is kept for critical pods. A group
/// without pods, or without time, is left out. Answers to kubelet's `groupByPriority` with two
/// priorities, but that static pods are critical whatever priority they have.
pub fn shutdown_groups(
    pods: impl IntoIterator<Item = Arc<Pod>>,
    total: Duration,
    critical: Duration,
) -> Vec<ShutdownGroup> {
    let (last, first) = pods.into_iter().partition(|pod| is_critical(pod));
    let groups = [
        (total.saturating_sub(critical), first),
        (critical.min(total), last),
    ];
    let groups = groups.map(|(limit, pods): (_, Vec<_>)| ShutdownGroup { limit, pods });
    let groups = groups.into_iter();
    groups
        .filter(|group| !group.limit.is_zero() && !group.pods.is_empty())
        .collect()
}

/// How long one pod of a group is given: what it asks for, if that is less than the group has.
pub fn shutdown_grace(pod: &Pod, group: &ShutdownGroup) -> Duration {
    let asked = termination_grace(pod).unwrap_or(group.limit);
    asked.min(group.limit)
}

/// What is told of a pod that ended since the machine is shut down.
pub fn shut_down() -> Eviction {
    Eviction {
        reason: "Terminated".into(),
        message: MESSAGE.into(),
        disruption: Some(MESSAGE.into()),
    }
}
