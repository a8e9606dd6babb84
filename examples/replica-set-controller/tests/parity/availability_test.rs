//! The tests of `controller_utils_test.go` about when pods become available.

use std::time::Duration;

use jiff::Span;
use replica_set_controller::{
    PodView, earliest_availability_check, min_next_availability_check, next_availability_check,
};

use crate::fixtures::{Owned, foo_bar, new_pod, now, object, ready_condition, seconds_ago};

/// A pod that is ready, or not, since some seconds.
fn pod_with_readiness(name: &str, ready: &str, seconds: i64) -> PodView {
    let mut pod = new_pod(name, &foo_bar(1), "Running", Owned::Yes);
    let condition = ready_condition(ready, Some(seconds_ago(seconds)));
    pod.status.as_mut().unwrap().conditions = Some(vec![condition]);
    PodView::new(object(&pod))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn test_next_pod_availability_check() {
    let ready = |ago| pod_with_readiness("pod", "True", ago);
    let without_time = PodView::new(object(&new_pod("pod", &foo_bar(1), "Running", Owned::Yes)));
    for (case, pod, min_ready, expected) in [
        ("not ready", pod_with_readiness("pod", "False", 0), 0, None),
        ("no time asked for", ready(0), 0, None),
        ("no transition time", without_time, 1, None),
        ("ready right now", ready(0), 1, Some(seconds(1))),
        ("ready for 20 s", ready(20), 30, Some(seconds(10))),
        ("available", ready(51), 50, None),
        ("available right now", ready(50), 50, None),
    ] {
        let next = next_availability_check(&pod, seconds(min_ready), now());
        assert_eq!(next, expected, "{case}");
    }
}

/// Pods of which some are ready; `None` is one that is not.
fn pods_ready_for<const N: usize>(ready: [Option<i64>; N]) -> Vec<PodView> {
    let pod = |(index, ready): (usize, &Option<i64>)| {
        let name = format!("pod{}", index + 1);
        match ready {
            Some(ago) => pod_with_readiness(&name, "True", *ago),
            None => pod_with_readiness(&name, "False", 0),
        }
    };
    ready.iter().enumerate().map(pod).collect()
}

#[test]
fn test_find_min_next_pod_availability_simple_check() {
    for (case, pods, min_ready, expected) in [
        ("no pods", vec![], 0, None),
        ("none ready", pods_ready_for([None, None]), 0, None),
        (
            "no time asked for",
            pods_ready_for([Some(0), Some(0)]),
            0,
            None,
        ),
        (
            "the one ready for longest",
            pods_ready_for([None, Some(2), Some(0), Some(4), None]),
            10,
            Some((seconds(6), "pod4")),
        ),
        (
            "all available",
            pods_ready_for([None, Some(15), Some(11), Some(10), None]),
            10,
            None,
        ),
    ] {
        let min_ready = seconds(min_ready);
        let earliest = earliest_availability_check(&pods, min_ready, now());
        let found = earliest.map(|(pod, remaining)| (remaining, pod.meta().name()));
        assert_eq!(found, expected, "{case}");
        let next = min_next_availability_check(&pods, min_ready, now(), now());
        assert_eq!(next, expected.map(|(remaining, _)| remaining), "{case}");
    }
}

#[test]
fn test_find_min_next_pod_availability() {
    let pods = pods_ready_for([None, Some(2), Some(0), Some(4), None]);
    for (delay, expected) in [(2, seconds(4)), (7, Duration::ZERO)] {
        let later = now() + Span::new().seconds(delay);
        let next = min_next_availability_check(&pods, seconds(10), now(), later);
        assert_eq!(
            next,
            Some(expected),
            "{delay} s after the status was computed"
        );
    }
}
