//! `pkg/controller/replicaset/replica_set_utils_test.go`, and the conditions of
//! `replica_set_test.go`.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use replica_set_controller::{
    Observation, REPLICA_FAILURE, ReplicaSetView, calculate_status, get_condition,
    remove_condition, says_the_same, set_condition,
};

use crate::fixtures::{Labels, Owned, labels, new_pod, new_replica_set, now, object, views};

/// What is seen of a set.
struct Seen<'a> {
    set: &'a ReplicaSet,
    pods: Vec<Pod>,
    terminating: Option<usize>,
    failure: Option<&'a str>,
}

impl<'a> Seen<'a> {
    fn new(set: &'a ReplicaSet, pods: Vec<Pod>) -> Self {
        Self {
            set,
            pods,
            terminating: None,
            failure: None,
        }
    }

    fn status(&self) -> ReplicaSetStatus {
        let set = object(self.set);
        let body = set.body();
        let set = ReplicaSetView::new(&set, &body).unwrap();
        let observation = Observation {
            pods: &views(&self.pods),
            terminating: self.terminating,
            failure: self.failure,
            at: now(),
        };
        calculate_status(&set, &observation).unwrap()
    }
}

/// `replicas`, and those fully labelled, ready, available and terminating.
fn counts(status: &ReplicaSetStatus) -> (i32, i32, i32, i32, Option<i32>) {
    (
        status.replicas,
        status.fully_labeled_replicas.unwrap_or_default(),
        status.ready_replicas.unwrap_or_default(),
        status.available_replicas.unwrap_or_default(),
        status.terminating_replicas,
    )
}

fn full() -> Labels {
    labels([("name", "foo"), ("type", "production")])
}

fn partial() -> Labels {
    labels([("name", "foo")])
}

#[test]
fn test_calculate_status() {
    let not_fully = new_replica_set(1, &partial());
    let fully = new_replica_set(2, &full());
    let mut patient = new_replica_set(1, &full());
    patient.spec.as_mut().unwrap().min_ready_seconds = Some(3600);
    let running = |name: &str, set| new_pod(name, set, "Running", Owned::Yes);

    for (case, set, pods, expected) in [
        (
            "1 fully labelled pod",
            &fully,
            vec![running("pod1", &fully)],
            (1, 1, 1, 1, None),
        ),
        (
            "1 not fully labelled pod",
            &not_fully,
            vec![running("pod1", &not_fully)],
            (1, 0, 1, 1, None),
        ),
        (
            "2 fully labelled pods",
            &fully,
            vec![running("pod1", &fully), running("pod2", &fully)],
            (2, 2, 2, 2, None),
        ),
        (
            "2 not fully labelled pods",
            &not_fully,
            vec![running("pod1", &not_fully), running("pod2", &not_fully)],
            (2, 0, 2, 2, None),
        ),
        (
            "1 fully labelled pod, 1 not",
            &not_fully,
            vec![running("pod1", &not_fully), running("pod2", &fully)],
            (2, 1, 2, 2, None),
        ),
        (
            "1 pod that is not ready",
            &fully,
            vec![new_pod("pod1", &fully, "Pending", Owned::Yes)],
            (1, 1, 0, 0, None),
        ),
        (
            "1 pod that is ready but not available",
            &patient,
            vec![running("pod1", &patient)],
            (1, 1, 1, 0, None),
        ),
    ] {
        let mut seen = Seen::new(set, pods);
        assert_eq!(counts(&seen.status()), expected, "{case}");
        for terminating in [0, 2] {
            seen.terminating = Some(usize::try_from(terminating).unwrap());
            let (replicas, fully, ready, available, _) = expected;
            let expected = (replicas, fully, ready, available, Some(terminating));
            assert_eq!(
                counts(&seen.status()),
                expected,
                "{case}, {terminating} terminating"
            );
        }
    }
}

#[test]
fn test_calculate_status_conditions() {
    let two = new_replica_set(2, &partial());
    let mut failed_before = new_replica_set(10, &partial());
    failed_before.status = Some(ReplicaSetStatus {
        conditions: Some(vec![condition(REPLICA_FAILURE, "")]),
        ..ReplicaSetStatus::default()
    });
    let pods = |set: &ReplicaSet, count: i32| -> Vec<_> {
        (0..count)
            .map(|index| new_pod(&format!("pod{index}"), set, "Running", Owned::Yes))
            .collect()
    };
    let failure = "fake manageReplicasErr";
    let fresh = |reason: &str| ReplicaSetCondition {
        message: Some(failure.into()),
        last_transition_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now())),
        ..condition(REPLICA_FAILURE, reason)
    };

    for (case, set, count, failure, expected) in [
        (
            "too few",
            &two,
            1,
            Some(failure),
            vec![fresh("FailedCreate")],
        ),
        (
            "too many",
            &two,
            3,
            Some(failure),
            vec![fresh("FailedDelete")],
        ),
        ("no failure any more", &failed_before, 1, None, vec![]),
        (
            "still failing",
            &failed_before,
            1,
            Some(failure),
            vec![condition(REPLICA_FAILURE, "")],
        ),
        ("no failure at all", &two, 1, None, vec![]),
    ] {
        let mut seen = Seen::new(set, pods(set, count));
        seen.failure = failure;
        let conditions = seen.status().conditions.unwrap_or_default();
        assert_eq!(conditions, expected, "{case}");
    }
}

#[test]
fn a_status_is_news_if_anything_of_it_is() {
    let before = || ReplicaSetStatus {
        replicas: 2,
        ..ReplicaSetStatus::default()
    };
    let zeros = ReplicaSetStatus {
        fully_labeled_replicas: Some(0),
        ready_replicas: Some(0),
        available_replicas: Some(0),
        observed_generation: Some(0),
        conditions: Some(vec![]),
        ..before()
    };
    assert!(says_the_same(&before(), &zeros), "the API leaves zeros out");

    let change: [fn(&mut ReplicaSetStatus); 7] = [
        |status| status.replicas = 1,
        |status| status.fully_labeled_replicas = Some(1),
        |status| status.ready_replicas = Some(1),
        |status| status.available_replicas = Some(1),
        // From not being reported to being reported.
        |status| status.terminating_replicas = Some(0),
        |status| status.observed_generation = Some(1),
        |status| status.conditions = Some(vec![condition(REPLICA_FAILURE, "")]),
    ];
    for (nth, change) in change.into_iter().enumerate() {
        let mut after = before();
        change(&mut after);
        assert!(!says_the_same(&before(), &after), "change {nth}");
        assert!(!says_the_same(&after, &before()), "change {nth} undone");
    }
}

const IMAGE_PULL_BACK_OFF: &str = "ImagePullBackOff";

fn condition(kind: &str, reason: &str) -> ReplicaSetCondition {
    ReplicaSetCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: Some(reason.into()).filter(|reason: &String| !reason.is_empty()),
        ..ReplicaSetCondition::default()
    }
}

fn status<const N: usize>(conditions: [ReplicaSetCondition; N]) -> ReplicaSetStatus {
    ReplicaSetStatus {
        conditions: (N > 0).then(|| conditions.into()),
        ..ReplicaSetStatus::default()
    }
}

#[test]
fn test_get_condition() {
    let status = status([condition(REPLICA_FAILURE, "OtherFailure")]);
    assert!(get_condition(&status, REPLICA_FAILURE).is_some());
    assert!(get_condition(&status, IMAGE_PULL_BACK_OFF).is_none());
}

#[test]
fn test_set_condition() {
    let pull = condition(IMAGE_PULL_BACK_OFF, "NonExistentImage");
    let failure = condition(REPLICA_FAILURE, "OtherFailure");
    let another = condition(REPLICA_FAILURE, "AnotherFailure");
    let same_with_news = ReplicaSetCondition {
        message: Some("news".into()),
        ..failure.clone()
    };
    for (case, mut before, set, after) in [
        (
            "for the first time",
            status([]),
            failure.clone(),
            status([failure.clone()]),
        ),
        (
            "beside another",
            status([pull.clone()]),
            failure.clone(),
            status([pull, failure.clone()]),
        ),
        (
            "over its like",
            status([failure.clone()]),
            another.clone(),
            status([another]),
        ),
        (
            "the same status and reason",
            status([failure.clone()]),
            same_with_news,
            status([failure]),
        ),
    ] {
        set_condition(&mut before, set);
        assert_eq!(before, after, "{case}");
    }
}

#[test]
fn test_remove_condition() {
    let failure = || condition(REPLICA_FAILURE, "OtherFailure");
    for (case, mut before, kind, after) in [
        ("from none", status([]), REPLICA_FAILURE, status([])),
        (
            "the only one",
            status([failure()]),
            REPLICA_FAILURE,
            status([]),
        ),
        (
            "one that is not there",
            status([failure()]),
            IMAGE_PULL_BACK_OFF,
            status([failure()]),
        ),
    ] {
        remove_condition(&mut before, kind);
        assert_eq!(before, after, "{case}");
    }
}
