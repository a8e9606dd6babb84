use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use super::KillReason;
use crate::pod::{deletion_grace, termination_grace};

/// The least time that any container is given to end by itself.
pub const MINIMUM_GRACE: Duration = Duration::from_secs(2);

/// How long a container is given to end by itself, its hook and its turn included, if nobody asks
/// for another time.
///
/// Whoever deleted the pod has the first word, then the probe that failed, then the pod's spec.
/// Answers to kubelet's `setTerminationGracePeriod`.
pub fn kill_grace(
    pod: &Pod,
    container: Option<&Container>,
    reason: Option<KillReason>,
) -> Duration {
    let by_probe = |probe: Option<&Probe>| {
        let seconds = probe.and_then(|probe| probe.termination_grace_period_seconds);
        seconds.map(|seconds| Duration::from_secs(seconds.max(0).cast_unsigned()))
    };
    if let Some(grace) = deletion_grace(pod) {
        return grace;
    }
    let Some(of_pod) = termination_grace(pod) else {
        return MINIMUM_GRACE;
    };
    let of_probe = match reason {
        Some(KillReason::LivenessProbe) => {
            by_probe(container.and_then(|container| container.liveness_probe.as_ref()))
        }
        Some(KillReason::StartupProbe) => {
            by_probe(container.and_then(|container| container.startup_probe.as_ref()))
        }
        _ => None,
    };
    of_probe.unwrap_or(of_pod)
}

/// What is left of the grace for the runtime, after the hook and the wait for a turn took their part.
pub fn stop_timeout(grace: Duration, spent: Duration) -> Duration {
    grace.saturating_sub(spent).max(MINIMUM_GRACE)
}
