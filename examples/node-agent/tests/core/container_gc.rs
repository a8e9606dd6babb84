//! Which dead containers and sandboxes go. The tests answer to those of `kuberuntime_gc_test.go`
//! and `pod_container_deletor_test.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use node_agent::gc::{
    ContainerGcPolicy, dead_containers, removable_containers, removable_sandboxes,
};
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::{ListedContainer, ListedPod, ListedSandbox, ObservedPod, RuntimeState};

use crate::fixtures::{State, add, at, base_pod, id, in_sandbox};

/// A container: pod, name, when it was made, state.
type Container = (&'static str, &'static str, i64, RuntimeState);

use RuntimeState::{Created, Exited, Running, Unknown};

/// The pods of these containers, each in a sandbox of its own name.
fn pods(containers: &[Container]) -> Vec<ListedPod> {
    let mut pods = BTreeMap::new();
    for (pod, name, created_at, state) in containers {
        let pod = pods.entry(*pod).or_insert_with(|| empty(pod));
        pod.containers.push(ListedContainer {
            id: id(&format!("{name}-{created_at}")),
            sandbox: "s".into(),
            name: (*name).into(),
            state: *state,
            attempt: 0,
            created_at: at(*created_at),
            image_id: "".into(),
        });
    }
    pods.into_values().collect()
}

fn empty(pod: &str) -> ListedPod {
    ListedPod {
        uid: PodUid::new(pod),
        name: PodName::new("ns", pod),
        sandboxes: Vec::new(),
        containers: Vec::new(),
    }
}

fn is_deleted(uid: &PodUid) -> bool {
    uid.as_str().starts_with("deleted")
}

fn policy(min_age: u64, per_container: Option<usize>, all: Option<usize>) -> ContainerGcPolicy {
    let mut policy = ContainerGcPolicy::default();
    policy.min_age = Duration::from_secs(min_age);
    policy.max_per_pod_container = per_container;
    policy.max_containers = all;
    policy
}

#[test]
fn container_gc() {
    // As upstream's: at least an hour old, one per container, six in all.
    let usual = policy(3600, Some(1), Some(6));
    let now = 10_000;
    // What there is, what the policy is, and what is removed, in the order of names.
    let cases: Vec<(&str, Vec<Container>, ContainerGcPolicy, Vec<&str>)> = vec![
        (
            "all are removed when none are kept",
            vec![("1", "a", 0, Exited), ("1", "a", 1, Exited)],
            policy(0, Some(0), Some(0)),
            vec!["a-0", "a-1"],
        ),
        (
            "none is removed when all are kept",
            vec![("1", "a", 0, Exited), ("1", "a", 1, Exited)],
            policy(0, None, None),
            vec![],
        ),
        (
            "the oldest is removed",
            vec![
                ("1", "a", 2, Exited),
                ("1", "a", 0, Exited),
                ("1", "a", 1, Exited),
            ],
            usual,
            vec!["a-0", "a-1"],
        ),
        (
            "what runs does not count",
            vec![
                ("1", "a", 2, Running),
                ("1", "a", 1, Exited),
                ("1", "b", 0, Created),
            ],
            usual,
            vec![],
        ),
        (
            "nor does what is about to be started, unless it was replaced",
            vec![
                ("1", "a", 4, Created),
                ("1", "a", 3, Exited),
                ("1", "a", 2, Created),
                ("deleted", "b", 1, Created),
            ],
            usual,
            vec!["a-2", "b-1"],
        ),
        (
            "one that is too young does not count either",
            vec![("1", "a", 9000, Exited), ("1", "a", 1, Exited)],
            usual,
            vec![],
        ),
        (
            "each container has one, in each pod",
            vec![
                ("1", "a", 0, Exited),
                ("1", "a", 1, Exited),
                ("1", "b", 2, Exited),
                ("1", "b", 3, Exited),
                ("2", "a", 4, Exited),
                ("2", "a", 5, Exited),
            ],
            usual,
            vec!["a-0", "a-4", "b-2"],
        ),
        (
            "of pods that are gone nothing is kept",
            vec![
                ("deleted", "a", 0, Exited),
                ("deleted", "b", 1, Exited),
                ("1", "c", 2, Exited),
            ],
            usual,
            vec!["a-0", "b-1"],
        ),
        (
            "but what runs",
            vec![("deleted", "a", 0, Running), ("deleted", "b", 1, Exited)],
            usual,
            vec!["b-1"],
        ),
        (
            "too many in all: each keeps as many as the others",
            vec![
                ("1", "a", 0, Exited),
                ("1", "a", 1, Exited),
                ("1", "a", 2, Exited),
                ("2", "b", 3, Exited),
                ("2", "b", 4, Exited),
                ("2", "b", 5, Exited),
            ],
            policy(0, None, Some(4)),
            vec!["a-0", "b-3"],
        ),
        (
            "too many in all with one each: the oldest go",
            vec![
                ("1", "a", 0, Exited),
                ("2", "b", 1, Exited),
                ("3", "c", 2, Exited),
                ("4", "d", 3, Exited),
            ],
            policy(0, Some(1), Some(2)),
            vec!["a-0", "b-1"],
        ),
    ];
    for (case, containers, policy, expected) in cases {
        let pods = pods(&containers);
        let removed = removable_containers(&pods, policy, is_deleted, at(now));
        let mut removed: Vec<_> = removed.iter().map(|id| &**id).collect();
        removed.sort_unstable();
        assert_eq!(removed, expected, "{case}");
    }
}

#[test]
fn a_runtime_whose_clock_is_ahead_keeps_no_dead_container() {
    let pods = pods(&[("1", "a", 7200, Exited), ("1", "a", 7201, Exited)]);
    let removed = |min_age| {
        let policy = policy(min_age, Some(1), None);
        removable_containers(&pods, policy, is_deleted, at(0)).len()
    };
    assert_eq!((removed(0), removed(1)), (1, 0));
}

#[test]
fn what_was_tried_later_is_newer_though_the_clock_was_set_back() {
    let mut pods = pods(&[("1", "a", 7200, Exited), ("1", "a", 0, Exited)]);
    pods[0].containers[1].attempt = 1;
    let removed = removable_containers(&pods, ContainerGcPolicy::default(), is_deleted, at(10));
    assert_eq!(removed, ["a-7200".into()]);
    let sandbox = |id: &str, attempt, seconds| ListedSandbox {
        id: id.into(),
        is_ready: false,
        attempt,
        created_at: at(seconds),
    };
    pods[0].sandboxes = vec![sandbox("first", 0, 7200), sandbox("second", 1, 0)];
    assert_eq!(removable_sandboxes(&pods, is_deleted), ["first".into()]);
}

#[test]
fn unknown_state_container_gc() {
    let pods = pods(&[("1", "a", 0, Unknown), ("1", "a", 1, Unknown)]);
    let removed = removable_containers(&pods, ContainerGcPolicy::default(), is_deleted, at(10));
    assert_eq!(removed.iter().map(|id| &**id).collect::<Vec<_>>(), ["a-0"]);
}

#[test]
fn sandbox_gc() {
    // Whether it is ready, and whether it holds a container, newest first.
    type Case = (
        &'static str,
        &'static str,
        &'static [(bool, bool)],
        &'static [&'static str],
    );
    let cases: [Case; 8] = [
        ("one that is ready stays", "1", &[(true, false)], &[]),
        ("the newest stays", "1", &[(false, false)], &[]),
        (
            "of a pod that is gone it goes",
            "deleted",
            &[(false, false)],
            &["0"],
        ),
        ("unless it is ready", "deleted", &[(true, false)], &[]),
        ("or holds a container", "deleted", &[(false, true)], &[]),
        (
            "older ones go",
            "1",
            &[(false, false), (false, false), (false, false)],
            &["1", "2"],
        ),
        (
            "beside one that is ready too",
            "1",
            &[(true, false), (false, false)],
            &["1"],
        ),
        (
            "but those that are of use",
            "1",
            &[(false, false), (true, false), (false, true), (false, false)],
            &["3"],
        ),
    ];
    for (case, uid, sandboxes, expected) in cases {
        let mut pod = empty(uid);
        for (index, (is_ready, holds)) in sandboxes.iter().enumerate() {
            let id = index.to_string();
            let created_at = at(100 - i64::try_from(index).unwrap());
            if *holds {
                let mut held = pods(&[("x", "c", 0, Exited)])
                    .remove(0)
                    .containers
                    .remove(0);
                held.sandbox = id.as_str().into();
                pod.containers.push(held);
            }
            pod.sandboxes.push(ListedSandbox {
                id: id.into(),
                is_ready: *is_ready,
                attempt: 0,
                created_at,
            });
        }
        // The runtime may list them in any order.
        for _ in 0..2 {
            pod.sandboxes.reverse();
            let mut removed = removable_sandboxes(std::slice::from_ref(&pod), is_deleted);
            removed.sort();
            let removed: Vec<_> = removed.iter().map(|id| &**id).collect();
            assert_eq!(removed, expected, "{case}");
        }
    }
}

#[test]
fn get_containers_to_delete_in_pod() {
    let pod = base_pod("Always");
    let mut observed = in_sandbox(&pod);
    let containers = [
        ("foo1", "1", 10, State::Exited(1)),
        ("foo1", "2", 11, State::Exited(1)),
        ("foo1", "3", 12, State::Exited(1)),
        ("foo1", "4", 13, State::Running),
        ("foo2", "5", 14, State::Exited(0)),
        ("foo2", "6", 15, State::Created),
        ("foo3", "7", 16, State::Unknown),
    ];
    for (name, of, created_at, state) in containers {
        add(&mut observed, &pod, name, state);
        observed.containers[0].id = id(of);
        observed.containers[0].created_at = at(created_at);
    }
    let dead = |observed: &ObservedPod, of, keep| {
        let ids = dead_containers(observed, of, keep);
        ids.iter().map(|id| id.id.to_string()).collect::<Vec<_>>()
    };
    for (of, keep, expected) in [
        (Some("4"), 1, vec!["2", "1"]),
        (Some("3"), 0, vec!["3", "2", "1"]),
        (Some("2"), 4, vec![]),
        (Some("5"), 1, vec![]),
        (Some("5"), 0, vec!["5"]),
        (Some("7"), 0, vec![]),
        (Some("gone"), 0, vec![]),
        (None, 0, vec!["5", "3", "2", "1"]),
        (None, 1, vec!["3", "2", "1"]),
    ] {
        assert_eq!(dead(&observed, of, keep), expected, "{of:?} {keep}");
    }
    observed.containers.reverse();
    assert_eq!(
        dead(&observed, Some("4"), 1),
        ["2", "1"],
        "whatever the order"
    );
}
