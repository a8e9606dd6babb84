//! How long a pod may be on the node.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::status::Eviction;

const REASON: &str = "DeadlineExceeded";
const MESSAGE: &str = "Pod was active on the node longer than the specified deadline";

/// When a pod is past its deadline, by its `activeDeadlineSeconds` and when it was started; `None` if
/// it has none that anybody lives to see, or was not started.
///
/// What the deadline is comes from the spec each time, since it may be changed.
pub fn active_deadline(pod: &Pod, started_at: Option<Instant>) -> Option<Instant> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    let allowed = Duration::from_secs(seconds.max(0).cast_unsigned());
    started_at?.checked_add(allowed)
}

/// Whether a pod is past its deadline.
///
/// Answers to kubelet's `activeDeadlineHandler`.
pub fn is_past_deadline(pod: &Pod, started_at: Option<Instant>, now: Instant) -> bool {
    active_deadline(pod, started_at).is_some_and(|due| now >= due)
}

/// What is told of a pod that is past its deadline.
pub fn deadline_exceeded() -> Eviction {
    Eviction {
        reason: REASON.into(),
        message: MESSAGE.into(),
        disruption: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_deadline_handler() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let pod = |deadline: Option<i64>| {
            let mut pod = Pod::default();
            pod.spec.get_or_insert_default().active_deadline_seconds = deadline;
            pod
        };
        // The pod, when it was started, and when it is due.
        for (pod, started_at, due) in [
            (pod(Some(10)), Some(at(100)), Some(at(110))),
            (pod(Some(0)), Some(at(100)), Some(at(100))),
            (pod(Some(i64::MAX)), Some(at(100)), None),
            (pod(Some(10)), None, None),
            (pod(None), Some(at(100)), None),
            (Pod::default(), Some(at(100)), None),
        ] {
            assert_eq!(active_deadline(&pod, started_at), due);
        }
        let pod = pod(Some(10));
        assert!(!is_past_deadline(&pod, Some(at(100)), at(109)));
        assert!(is_past_deadline(&pod, Some(at(100)), at(110)));
        assert!(!is_past_deadline(&pod, None, at(1000)));
        assert_eq!(deadline_exceeded().reason, "DeadlineExceeded");
    }
}
