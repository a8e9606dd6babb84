use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{deletion_grace, termination_grace};

/// Containers get this long at least.
const FLOOR: Duration = Duration::from_secs(1);

/// How long a pod that is being ended is given, after it was given `current` before.
///
/// It is the least that anybody asks for: it never grows. What the pod's spec asks for counts only
/// if nobody else has asked. Answers to kubelet's `calculateEffectiveGracePeriod`.
pub fn effective_grace(
    current: Option<Duration>,
    pod: Option<&Pod>,
    asked: Option<Duration>,
) -> Duration {
    let by_deletion = pod.and_then(deletion_grace);
    let least = [current, by_deletion, asked].into_iter().flatten().min();
    let grace = least.or_else(|| pod.and_then(termination_grace));
    grace.unwrap_or_default().max(FLOOR)
}
