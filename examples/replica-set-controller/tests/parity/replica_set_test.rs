//! The tests of `replica_set_test.go` about whole syncs.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use kubewright_controller::Pending;
use replica_set_controller::{ReplicaSetView, SyncError, get_condition};

use crate::fixtures::{
    Owned, foo_bar, new_pod, new_pods, new_uid, object, ready_condition, seconds_ago,
    settled_status,
};
use crate::recorded::{Call, Failing, Failure};
use crate::rig::{IDLE, NONE, RETRYING, Rig, Worked, creates};

#[tokio::test(start_paused = true)]
async fn test_sync_replica_set_does_nothing() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    set.status = Some(settled_status(2));
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(2, &set, "Running", "pod"));

    assert_eq!(rig.sync(&key).await.unwrap(), None);
    assert_eq!(rig.cluster.calls(), []);
    assert_eq!(rig.cluster.events(), [""; 0]);

    let worked = rig.work(&key, Duration::from_secs(60)).await;
    assert_eq!(rig.cluster.calls(), []);
    assert_eq!(worked, IDLE, "nor is it looked at again");
}

#[tokio::test(start_paused = true)]
async fn test_sync_replica_set_create_failures() {
    let mut rig = Rig::new();
    rig.cluster.fail(Failing::CreatesAfter(10));
    let key = rig.have_set(&foo_bar(100));

    let error = rig.sync(&key).await.unwrap_err();
    assert!(matches!(error, SyncError::Create(_)), "{error}");
    // Batches of 1, 2, 4 and 8: the fourth is the one that fails.
    assert_eq!(rig.pod_calls(), creates(15));
    let calls = rig.cluster.calls();
    let (last, first) = calls.split_last().unwrap();
    let is_create =
        |call: &Call| matches!(call, Call::Create(namespace, _) if namespace == "default");
    assert!(first.iter().all(is_create), "{first:?}");
    assert!(matches!(last, Call::UpdateStatus(set, ..) if set == "default/foobar"));
    assert_eq!(rig.pending(&key), Some(Pending::new(10, 0)));
    let events = rig.cluster.events();
    let of = |kind: &str| {
        events
            .iter()
            .filter(|event| event.starts_with(kind))
            .count()
    };
    assert_eq!(of("Normal SuccessfulCreate Created pod: foobar-"), 10);
    assert_eq!(of("Warning FailedCreate Error creating: fake Error"), 5);

    let [status] = &rig.statuses()[..] else {
        panic!("one status is written");
    };
    let failure = get_condition(status, "ReplicaFailure").unwrap();
    assert_eq!(failure.reason.as_deref(), Some("FailedCreate"));
    assert_eq!(failure.message.as_deref(), Some("fake Error"));

    // Ten pods are still to be seen; then it fails at once, and is tried again later.
    for _ in 0..10 {
        rig.controller.expectations().creation_observed(&key);
    }
    rig.cluster.clear();
    rig.cluster.fail(Failing::Creates(Failure::Internal));
    let worked = rig.work(&key, Duration::from_millis(1)).await;
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(worked, RETRYING);
}

#[tokio::test(start_paused = true)]
async fn test_sync_replica_set_dormancy() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    rig.have_pods(&new_pods(1, &set, "Running", "pod"));

    // Creates a replica and expects it.
    set.status = Some(settled_status(1));
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.statuses(), []);

    // What is expected prevents creation, but no update of the status.
    set.status = Some(settled_status(0));
    rig.have_set(&set);
    rig.cluster.clear();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
    assert_eq!(rig.statuses(), [settled_status(1)]);

    // Once it is seen another one is created; as that fails, it is not waited for.
    rig.controller.expectations().creation_observed(&key);
    set.status = Some(settled_status(1));
    rig.have_set(&set);
    rig.cluster.clear();
    rig.cluster.fail(Failing::Creates(Failure::Internal));
    rig.sync(&key).await.unwrap_err();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.statuses().len(), 1, "the failure is told");
    assert_eq!(rig.pending(&key), Some(Pending::new(0, 0)));

    rig.cluster.clear();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.statuses(), []);
}

#[tokio::test(start_paused = true)]
async fn test_controller_update_requeue() {
    let mut rig = Rig::new();
    let mut set = foo_bar(1);
    set.status = Some(settled_status(2));
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(1, &set, "Running", "pod"));
    rig.cluster.serve(&set);
    rig.cluster.fail(Failing::StatusUpdates(Failure::Internal));

    let worked = rig.work(&key, Duration::from_millis(1)).await;
    assert_eq!(worked, RETRYING, "it is to be tried again");
    assert_eq!(rig.statuses(), [settled_status(1), settled_status(1)]);
}

#[tokio::test(start_paused = true)]
async fn test_controller_update_status_with_failure() {
    let rig = Rig::new();
    let set = foo_bar(1);
    let mut live = set.clone();
    live.metadata.resource_version = Some("20".into());
    rig.cluster.serve(&live);
    rig.cluster.fail(Failing::StatusUpdates(Failure::Conflict));

    let cached = object(&set);
    let body = cached.body();
    let view = ReplicaSetView::new(&cached, &body).unwrap();
    let status = ReplicaSetStatus {
        replicas: 10,
        ..ReplicaSetStatus::default()
    };
    rig.controller
        .update_status(&view, &status)
        .await
        .unwrap_err();
    let update =
        |version: &str| Call::UpdateStatus("default/foobar".into(), version.into(), status.clone());
    assert_eq!(
        rig.cluster.calls(),
        [
            update("18"),
            Call::Get("default/foobar".into()),
            update("20")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_is_not_written_over_that_of_another_incarnation() {
    let mut rig = Rig::new();
    let set = foo_bar(0);
    let key = rig.have_set(&set);
    rig.cluster.serve(&foo_bar(0));
    rig.cluster.fail(Failing::StatusUpdates(Failure::Conflict));
    rig.sync(&key).await.unwrap_err();
    assert_eq!(rig.statuses().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_failures_that_of_the_status_is_the_outcome() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    rig.cluster.serve(&set);
    rig.cluster.fail(Failing::Creates(Failure::Internal));
    rig.cluster.fail(Failing::StatusUpdates(Failure::Conflict));
    let error = rig.sync(&key).await.unwrap_err();
    assert!(matches!(error, SyncError::Status(_)), "{error}");
    // It is tried to tell of the failure none the less.
    let calls = rig.cluster.calls();
    let [
        Call::Create(..),
        Call::UpdateStatus(..),
        Call::Get(_),
        Call::UpdateStatus(_, _, status),
    ] = &calls[..]
    else {
        panic!("{calls:?}");
    };
    assert!(get_condition(status, "ReplicaFailure").is_some());
}

#[tokio::test(start_paused = true)]
async fn the_next_look_is_due_when_it_would_be_had_the_status_taken_no_time() {
    let seconds = Duration::from_secs;
    for (takes, expected) in [(0, 6), (2, 4), (7, 0)] {
        let mut rig = Rig::new();
        let mut set = foo_bar(1);
        set.spec.as_mut().unwrap().min_ready_seconds = Some(10);
        let key = rig.have_set(&set);
        let mut pod = new_pod("pod", &set, "Running", Owned::Yes);
        let ready = ready_condition("True", Some(seconds_ago(4)));
        pod.status.as_mut().unwrap().conditions = Some(vec![ready]);
        rig.have_pods([&pod]);
        rig.cluster.let_status_take(seconds(takes));
        let next = rig.sync(&key).await.unwrap();
        assert_eq!(next, Some(seconds(expected)), "{takes} s");
    }
}

#[tokio::test(start_paused = true)]
async fn test_replica_set_availability_check() {
    let ready = |name: &str, set: &ReplicaSet, since: Option<Timestamp>| {
        let mut pod = new_pod(name, set, "Running", Owned::Yes);
        let condition = ready_condition("True", since);
        pod.status.as_mut().unwrap().conditions = Some(vec![condition]);
        pod
    };
    let ago = |seconds| Some(seconds_ago(seconds));
    let seconds = Duration::from_secs;
    for (case, min_ready, pods, expected) in [
        ("no time asked for", 0, [ago(0), ago(5)], None),
        ("all available", 4, [ago(20), ago(4)], None),
        (
            "one not available yet",
            10,
            [ago(20), ago(4)],
            Some(seconds(6)),
        ),
        (
            "the one that is next",
            10,
            [ago(1), ago(4)],
            Some(seconds(6)),
        ),
        ("none says since when", 10, [None, None], Some(seconds(10))),
    ] {
        let mut rig = Rig::new();
        let mut set = foo_bar(2);
        set.spec.as_mut().unwrap().min_ready_seconds = Some(min_ready);
        let key = rig.have_set(&set);
        rig.have_pods(&pods.map(|since| ready(&new_uid(), &set, since)));
        assert_eq!(rig.sync(&key).await.unwrap(), expected, "{case}");

        let worked = rig.work(&key, Duration::from_millis(1)).await;
        let (failures, delayed) = (0, usize::from(expected.is_some()));
        assert_eq!(worked, Worked { failures, delayed }, "{case}");
    }
}
