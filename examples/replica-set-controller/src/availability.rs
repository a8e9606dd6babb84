//! When a pod counts as available: once it has been ready for long enough.

use std::time::Duration;

use jiff::Timestamp;

use crate::pod::{PodView, Readiness};

/// Whether a pod has been ready for `min_ready`, at least.
///
/// A ready pod that does not say since when is available only if no time is asked for.
pub fn is_available(pod: &PodView, min_ready: Duration, now: Timestamp) -> bool {
    match pod.readiness() {
        Readiness::NotReady => false,
        Readiness::Ready { .. } if min_ready.is_zero() => true,
        Readiness::Ready { since: None } => false,
        Readiness::Ready { since: Some(since) } => available_at(since, min_ready) <= now,
    }
}

/// How long after `now` a ready pod becomes available; `None` if it is already, or if time alone
/// will not make it so.
///
/// Answers to `nextPodAvailabilityCheck` of Kubernetes 1.36.
pub fn next_availability_check(
    pod: &PodView,
    min_ready: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let Readiness::Ready { since: Some(since) } = pod.readiness() else {
        return None;
    };
    if min_ready.is_zero() {
        return None;
    }
    let remaining = available_at(since, min_ready).duration_since(now);
    Duration::try_from(remaining)
        .ok()
        .filter(|remaining| !remaining.is_zero())
}

/// How long to wait until another pod becomes available.
///
/// The pod is the one that was next when the status was computed, at `evaluated`; what remains
/// until then is counted from `now`, since writing the status took its time. Zero if that moment
/// has passed meanwhile, `None` if no pod was to become available.
///
/// Answers to `FindMinNextPodAvailabilityCheck` of Kubernetes 1.36.
pub fn min_next_availability_check<'a>(
    pods: impl IntoIterator<Item = &'a PodView>,
    min_ready: Duration,
    evaluated: Timestamp,
    now: Timestamp,
) -> Option<Duration> {
    let (pod, _) = earliest_availability_check(pods, min_ready, evaluated)?;
    Some(next_availability_check(pod, min_ready, now).unwrap_or_default())
}

/// The pod that becomes available next, and how long after `now`; of several, the first.
///
/// Answers to `findMinNextPodAvailabilitySimpleCheck` of Kubernetes 1.36.
pub fn earliest_availability_check<'a>(
    pods: impl IntoIterator<Item = &'a PodView>,
    min_ready: Duration,
    now: Timestamp,
) -> Option<(&'a PodView, Duration)> {
    let checks = pods
        .into_iter()
        .filter_map(|pod| Some((pod, next_availability_check(pod, min_ready, now)?)));
    checks.min_by_key(|(_, remaining)| *remaining)
}

/// The end of time stands for moments beyond it.
fn available_at(since: Timestamp, min_ready: Duration) -> Timestamp {
    since.checked_add(min_ready).unwrap_or(Timestamp::MAX)
}
