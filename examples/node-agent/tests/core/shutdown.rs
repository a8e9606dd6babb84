//! In which order pods end when the machine is shut down.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use node_agent::shutdown::{shut_down, shutdown_grace, shutdown_groups};

use crate::pods::{fixed, named};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with_priority(name: &str, priority: i32) -> Pod {
    let mut pod = named(name, name);
    pod.spec.as_mut().unwrap().priority = Some(priority);
    pod
}

#[test]
fn group_by_priority() {
    let pods = [
        with_priority("low", -5),
        with_priority("high", 1_999_999_999),
        with_priority("critical", 2_000_000_000),
        fixed("static", "static"),
        named("plain", "plain"),
    ];
    let groups = |total, critical| {
        let pods = pods.clone().map(Arc::new);
        let groups = shutdown_groups(pods, seconds(total), seconds(critical)).into_iter();
        let groups = groups.map(|group| {
            let names = group.pods.iter().map(|pod| pod.metadata.name.clone());
            let names: Option<Vec<_>> = names.collect();
            (group.limit.as_secs(), names.unwrap().join(" "))
        });
        groups.collect::<Vec<_>>()
    };
    let (plain, critical) = ("low high plain".to_owned(), "critical static".to_owned());
    assert_eq!(
        groups(30, 10),
        [(20, plain.clone()), (10, critical.clone())]
    );
    assert_eq!(groups(30, 0), [(30, plain)], "critical pods have no time");
    assert_eq!(groups(10, 30), [(10, critical)], "they have all there is");
    assert_eq!(groups(0, 0), []);
    assert_eq!(shutdown_groups([], seconds(30), seconds(10)), []);
}

#[test]
fn a_pod_is_given_what_it_asks_for_but_no_more_than_there_is() {
    let group = |limit| {
        let pods = [Arc::new(named("1", "web"))];
        shutdown_groups(pods, seconds(limit), Duration::ZERO).remove(0)
    };
    let mut pod = named("1", "web");
    assert_eq!(shutdown_grace(&pod, &group(60)), seconds(30));
    assert_eq!(shutdown_grace(&pod, &group(20)), seconds(20));
    pod.spec.as_mut().unwrap().termination_grace_period_seconds = None;
    assert_eq!(shutdown_grace(&pod, &group(20)), seconds(20));
    let told = shut_down();
    assert_eq!(told.reason, "Terminated");
    let message = "Pod was terminated in response to imminent node shutdown.";
    assert_eq!(told.message, message);
    assert_eq!(told.disruption.as_deref(), Some(message));
}
