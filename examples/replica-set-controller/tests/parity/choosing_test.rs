//! The tests of `replica_set_test.go` about slow start and about which pods are deleted.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use replica_set_controller::{DeletionOrder, FeatureGates, SlowStart, pod_keys, slow_start_batch};

use crate::fixtures::{
    Owned, foo_bar, labels, names, new_pod, new_replica_set, now, ready_condition, views,
};

#[tokio::test]
async fn test_slow_start_batch() {
    for (case, count, succeeding, successes, error, calls) in [
        ("all fail", 10, 0, 0, Some("fake error"), 1),
        ("all succeed", 10, 10, 10, None, 10),
        ("some succeed", 10, 5, 5, Some("fake error"), 7),
        ("none asked for", 0, 0, 0, None, 0),
    ] {
        let made = Cell::new(0);
        let outcome = slow_start_batch(count, 1, || {
            made.set(made.get() + 1);
            let outcome = if made.get() > succeeding {
                Err("fake error")
            } else {
                Ok(())
            };
            async move { outcome }
        });
        assert_eq!(outcome.await, SlowStart { successes, error }, "{case}");
        assert_eq!(made.get(), calls, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_batch_are_made_at_once_and_batches_one_after_another() {
    for (initial, expected) in [
        (1, [0, 1, 1, 2, 2, 2, 2, 3, 3, 3]),
        (3, [0, 0, 0, 1, 1, 1, 1, 1, 1, 2]),
    ] {
        let started = tokio::time::Instant::now();
        let begun = RefCell::new(Vec::new());
        let outcome = slow_start_batch(10, initial, || {
            begun.borrow_mut().push(started.elapsed().as_secs());
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, ()>(())
            }
        });
        outcome.await;
        assert_eq!(begun.into_inner(), expected);
    }
}

#[tokio::test]
async fn the_first_failure_of_a_batch_is_told() {
    let made = Cell::new(0);
    let outcome = slow_start_batch(10, 1, || {
        made.set(made.get() + 1);
        let call = made.get();
        async move { if call < 3 { Ok(()) } else { Err(call) } }
    });
    // The second batch is the last one: one of its two calls succeeds.
    let (successes, error) = (2, Some(3));
    assert_eq!(outcome.await, SlowStart { successes, error });

    let made = Cell::new(0);
    let outcome = slow_start_batch(10, 4, || {
        made.set(made.get() + 1);
        let call = made.get();
        async move { Err::<(), _>(call) }
    });
    let (successes, error) = (0, Some(1));
    assert_eq!(outcome.await, SlowStart { successes, error });
    assert_eq!(made.get(), 4);
}

#[test]
fn test_get_pods_to_delete() {
    let set = new_replica_set(1, &labels([("name", "foo")]));
    let pod = |name: &str, phase: &str, node: Option<&str>, ready: Option<&str>| {
        let mut pod = new_pod(name, &set, phase, Owned::Yes);
        pod.spec = Some(PodSpec {
            node_name: node.map(Into::into),
            ..PodSpec::default()
        });
        let condition = ready.map(|status| vec![ready_condition(status, None)]);
        pod.status.as_mut().unwrap().conditions = condition;
        pod
    };
    let unscheduled = pod("unscheduled", "Pending", None, None);
    let pending = pod("pending", "Pending", Some("node"), None);
    let not_ready = pod("not-ready", "Running", Some("node"), Some("False"));
    let on_node_1 = pod("ready-on-node-1", "Running", Some("node-1"), Some("True"));
    let on_node_2 = pod("ready-on-node-2", "Running", Some("node-2"), Some("True"));
    let another_on_node_2 = pod("another-on-node-2", "Running", Some("node-2"), Some("True"));
    let ended_on_node_1 = pod("ended-on-node-1", "Failed", Some("node-1"), None);

    let all = [&on_node_1, &on_node_2, &not_ready, &pending, &unscheduled];
    for (case, pods, related, count, expected) in [
        ("none of none", &[][..], &[][..], 0, &[][..]),
        (
            "all: in the order given",
            &all[..],
            &all[..],
            5,
            &[
                "ready-on-node-1",
                "ready-on-node-2",
                "not-ready",
                "pending",
                "unscheduled",
            ],
        ),
        (
            "on no node",
            &[&pending, &unscheduled],
            &[],
            1,
            &["unscheduled"],
        ),
        (
            "not ready",
            &[&on_node_1, &not_ready],
            &[],
            1,
            &["not-ready"],
        ),
        (
            "on the fuller node",
            &[&on_node_1, &on_node_2],
            &[&on_node_1, &on_node_2, &another_on_node_2],
            1,
            &["ready-on-node-2"],
        ),
        (
            "pods that have ended fill no node",
            &[&on_node_2, &on_node_1],
            &[
                &on_node_1,
                &on_node_2,
                &another_on_node_2,
                &ended_on_node_1,
                &ended_on_node_1,
            ],
            1,
            &["ready-on-node-2"],
        ),
        ("pending", &[&not_ready, &pending], &[], 1, &["pending"]),
        (
            "of all sorts",
            &all,
            &all,
            3,
            &["unscheduled", "pending", "not-ready"],
        ),
    ] {
        let to_views = |pods: &[&Pod]| {
            let pods: Vec<Pod> = pods.iter().map(|pod| (*pod).clone()).collect();
            views(&pods)
        };
        let (pods, related) = (to_views(pods), to_views(related));
        let order = DeletionOrder::new(&FeatureGates::default(), now());
        let chosen = order.first(&pods, &related, count);
        assert_eq!(names(chosen), expected, "{case}");
    }
}

#[test]
fn test_get_pod_keys() {
    let set = foo_bar(1);
    let pods = views(&["pod1", "pod2"].map(|name| new_pod(name, &set, "Running", Owned::Yes)));
    let keys = |pods: &[&_]| {
        pod_keys(pods)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&[]), [""; 0]);
    assert_eq!(
        keys(&[&pods[0], &pods[1]]),
        ["default/pod1", "default/pod2"]
    );
}
