//! `pkg/controller/replicaset/replica_set_test.go`: syncs, and what they are made of.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kubewright_controller::Pending;
use replica_set_controller::{
    DeletionOrder, FeatureGates, ReplicaSetView, Scaling, SlowStart, SyncError, get_condition,
    pod_keys, slow_start_batch,
};
use serde_json::json;

use crate::fixtures::{
    Owned, controller_ref, labels, names, new_pod, new_pods, new_replica_set, new_uid, now, object,
    ready_condition, seconds_ago, views,
};
use crate::recorded::{Call, Failing, Failure};
use crate::rig::{NONE, Rig, Worked, creates, deletes, patches};

fn foo_bar(replicas: i32) -> ReplicaSet {
    new_replica_set(replicas, &labels([("foo", "bar")]))
}

/// The status of a set whose pods all run, are ready and are not fully labelled.
fn status(pods: i32) -> ReplicaSetStatus {
    let count = Some(pods).filter(|count| *count != 0);
    ReplicaSetStatus {
        replicas: pods,
        ready_replicas: count,
        available_replicas: count,
        terminating_replicas: Some(0),
        ..ReplicaSetStatus::default()
    }
}

#[tokio::test(start_paused = true)]
async fn test_sync_replica_set_does_nothing() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    set.status = Some(status(2));
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(2, &set, "Running", "pod"));

    assert_eq!(rig.sync(&key).await.unwrap(), None);
    assert_eq!(rig.cluster.calls(), []);
    assert_eq!(rig.cluster.events(), [""; 0]);
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
}

#[tokio::test(start_paused = true)]
async fn test_sync_replica_set_dormancy() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    rig.have_pods(&new_pods(1, &set, "Running", "pod"));

    // Creates a replica and expects it.
    set.status = Some(status(1));
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.statuses(), []);

    // What is expected prevents creation, but no update of the status.
    set.status = Some(status(0));
    rig.have_set(&set);
    rig.cluster.clear();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
    assert_eq!(rig.statuses(), [status(1)]);

    // Once it is seen another one is created; as that fails, it is not waited for.
    rig.controller.expectations().creation_observed(&key);
    set.status = Some(status(1));
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

fn named(mut set: ReplicaSet, name: &str) -> ReplicaSet {
    set.metadata.name = Some(name.into());
    set
}

fn controlled_by(mut set: ReplicaSet, uid: &str) -> ReplicaSet {
    set.metadata.owner_references.as_mut().unwrap()[0].uid = uid.into();
    set
}

fn being_deleted(mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.deletion_timestamp = Some(Time(now()));
    set
}

/// Four sets: the second has the same controller as the first, the third and fourth have others.
fn family() -> [ReplicaSet; 4] {
    let set = |name: &str, value: &str, owner: &str| {
        let set = new_replica_set(1, &labels([("foo", value)]));
        controlled_by(named(set, name), owner)
    };
    [
        set("rs1", "bar", "123"),
        set("rs2", "baz", "123"),
        set("rs3", "quux", "456"),
        being_deleted(set("rs4", "xyzzy", "789")),
    ]
}

#[test]
fn test_get_replica_sets_with_same_controller() {
    let [some, related, unrelated, deleted] = &family();
    for (case, sets, set, expected) in [
        (
            "also one that is being deleted",
            vec![deleted, unrelated],
            deleted,
            &["rs4"][..],
        ),
        (
            "only itself, without relatives",
            vec![some, unrelated],
            some,
            &["rs1"],
        ),
        (
            "its relatives, no others",
            vec![some, related, unrelated],
            some,
            &["rs1", "rs2"],
        ),
    ] {
        let mut rig = Rig::new();
        for set in sets {
            rig.have_set(set);
        }
        let siblings = rig.stores.caches().siblings(object(set).meta());
        let found: Vec<_> = siblings.iter().map(|set| set.meta().name()).collect();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn test_pod_controller_lookup() {
    let labelled = labels([("foo", "bar")]);
    let in_namespace = |namespace: &str| {
        let mut set = named(foo_bar(1), "bar");
        set.metadata.namespace = Some(namespace.into());
        set
    };
    let empty = new_replica_set(1, &labels([]));
    let mut without_selector = foo_bar(1);
    without_selector
        .spec
        .as_mut()
        .unwrap()
        .selector
        .match_labels = None;
    let mut invalid = foo_bar(1);
    let selector = &mut invalid.spec.as_mut().unwrap().selector;
    selector.match_expressions = Some(vec![Default::default()]);

    for (case, set, pod_labels, expected) in [
        ("a pod without labels", in_namespace("ns"), None, &[][..]),
        (
            "another namespace",
            in_namespace("other"),
            Some(&labelled),
            &[],
        ),
        ("a match", in_namespace("ns"), Some(&labelled), &["ns/bar"]),
        ("an empty selector", in_ns(empty), Some(&labelled), &[]),
        ("no selector", in_ns(without_selector), Some(&labelled), &[]),
        ("an invalid selector", in_ns(invalid), Some(&labelled), &[]),
    ] {
        let mut rig = Rig::new();
        rig.have_set(&set);
        let mut pod = new_pod("foo", &in_namespace("ns"), "Running", Owned::No);
        pod.metadata.labels = pod_labels.cloned();
        let sets = rig.stores.caches().sets_selecting(object(&pod).meta());
        let found: Vec<_> = sets.iter().map(|set| set.key().to_string()).collect();
        assert_eq!(found, expected, "{case}");
    }
}

fn in_ns(mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.namespace = Some("ns".into());
    set
}

#[test]
fn test_related_pods_lookup() {
    let [some, related, unrelated, deleted] = &family();
    let pod = |name: &str, set: &ReplicaSet| new_pod(name, set, "Running", Owned::Yes);
    // Two sets select it, and it counts once.
    let shared = {
        let mut shared = pod("shared", some);
        shared.metadata.labels = Some(labels([("foo", "bar"), ("x", "y")]));
        shared
    };
    let twin = named(foo_bar(1), "twin");
    let without_controller = {
        let mut set = named(foo_bar(1), "free");
        set.metadata.owner_references = None;
        set
    };
    let pods = [
        pod("pod1", some),
        pod("pod2", some),
        pod("pod3", related),
        pod("pod4", unrelated),
        pod("pod5", deleted),
        shared,
    ];
    for (case, sets, set, expected) in [
        (
            "of a set that is being deleted",
            vec![deleted, unrelated],
            deleted,
            &["pod5"][..],
        ),
        (
            "only its own",
            vec![some, unrelated],
            some,
            &["pod1", "pod2", "shared"],
        ),
        (
            "its own and its relatives'",
            vec![some, related, unrelated],
            some,
            &["pod1", "pod2", "pod3", "shared"],
        ),
        (
            "each once",
            vec![some, &twin],
            some,
            &["pod1", "pod2", "shared"],
        ),
        (
            "without a controller",
            vec![&without_controller],
            &without_controller,
            &[],
        ),
    ] {
        let mut rig = Rig::new();
        for set in sets {
            rig.have_set(set);
        }
        rig.have_pods(&pods);
        let found = rig.stores.caches().related_pods(object(set).meta());
        let mut found = names(&found);
        found.sort_unstable();
        assert_eq!(found, expected, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn test_controller_update_requeue() {
    let mut rig = Rig::new();
    let mut set = foo_bar(1);
    set.status = Some(status(2));
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(1, &set, "Running", "pod"));
    rig.cluster.serve(&set);
    rig.cluster.fail(Failing::StatusUpdates(Failure::Internal));

    let worked = rig.work(&key, Duration::from_millis(1)).await;
    let (failures, delayed) = (1, 1);
    assert_eq!(
        worked,
        Worked { failures, delayed },
        "it is to be tried again"
    );
    assert_eq!(rig.statuses(), [status(1), status(1)]);
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

/// The pods that watches bring: of what was created, or of what was asked to be deleted.
struct Burst {
    rig: Rig,
    set: ReplicaSet,
    burst: usize,
    pods: Vec<Pod>,
}

impl Burst {
    async fn scale(&mut self, replicas: i32, rounds: usize) {
        self.set.spec.as_mut().unwrap().replicas = Some(replicas);
        let key = self.rig.have_set(&self.set);
        let wanted = usize::try_from(replicas).unwrap();
        for _ in 0..rounds {
            self.rig.cluster.clear();
            self.rig.sync(&key).await.unwrap();
            if wanted == 0 {
                self.see_deletions(&key).await;
            } else {
                self.see_creations(&key, wanted).await;
            }
        }
        assert_eq!(self.rig.stores.caches().pods.len(), wanted);
    }

    async fn see_creations(&mut self, key: &kubewright_cache::ObjectKey, wanted: usize) {
        let active = self.rig.stores.caches().pods.len();
        let expected = (wanted - active).min(self.burst);
        assert_eq!(self.rig.pod_calls(), creates(expected));
        let (last, first) = {
            let mut pods = self.pods.drain(..expected);
            let first: Vec<_> = pods.by_ref().take(expected - 1).collect();
            (pods.next().unwrap(), first)
        };
        // All but one are seen: that wakes nobody up.
        for pod in &first {
            self.rig.see_pod(pod);
        }
        assert_eq!(self.rig.pending(key), Some(Pending::new(1, 0)));
        self.is_asleep(key).await;
        self.rig.see_pod(&last);
    }

    async fn see_deletions(&mut self, key: &kubewright_cache::ObjectKey) {
        let active = self.rig.stores.caches().pods.len();
        assert_eq!(self.rig.pod_calls(), deletes(active.min(self.burst)));
        let leaving = self.rig.controller.expectations().leaving(key);
        assert_eq!(leaving.len(), active.min(self.burst));
        let pod = |key: &kubewright_cache::ObjectKey| {
            new_pod(key.name(), &self.set, "Running", Owned::Yes)
        };
        let mut pods: Vec<_> = leaving.iter().map(pod).collect();
        let last = pods.pop().unwrap();
        for pod in &pods {
            self.rig.see_pod_gone(pod);
        }
        assert_eq!(self.rig.pending(key), Some(Pending::new(0, 1)));
        self.is_asleep(key).await;
        self.rig.see_pod_gone(&last);
    }

    /// The set takes no action while it is waiting.
    async fn is_asleep(&mut self, key: &kubewright_cache::ObjectKey) {
        self.rig.cluster.clear();
        self.rig.sync(key).await.unwrap();
        assert_eq!(self.rig.pod_calls(), NONE);
    }
}

#[tokio::test(start_paused = true)]
async fn test_controller_burst_replicas() {
    for (burst, replicas) in [(5, 30), (5, 12), (3, 2)] {
        let set = foo_bar(replicas);
        let count = usize::try_from(replicas).unwrap();
        let pods = new_pods(count, &set, "Pending", "pod");
        let mut test = Burst {
            rig: Rig::with_burst(burst),
            set,
            burst,
            pods,
        };
        let rounds = count.div_ceil(burst);
        test.scale(replicas, rounds).await;
        test.scale(0, rounds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn test_rs_sync_expectations() {
    let mut rig = Rig::with_burst(2);
    let set = foo_bar(2);
    let key = rig.have_set(&set);
    let pods = new_pods(2, &set, "Pending", "pod");
    rig.have_pods(&pods[..1]);

    // The pod that fulfils the expectations comes between looking at those and counting pods.
    let started = rig.controller.begin(&key).unwrap();
    assert_eq!(started.scaling(), Scaling::Allowed);
    rig.have_pods(&pods[1..]);
    rig.controller.finish(started).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);

    // What was decided stays so, whatever is seen meanwhile.
    rig.controller.expectations().expect_creations(&key, 1);
    let started = rig.controller.begin(&key).unwrap();
    assert_eq!(started.scaling(), Scaling::Held);
    rig.controller.expectations().creation_observed(&key);
    rig.see_pod_gone(&pods[0]);
    rig.controller.finish(started).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
}

#[tokio::test(start_paused = true)]
async fn test_delete_controller_and_expectations() {
    let mut rig = Rig::with_burst(10);
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
    rig.cluster.clear();

    rig.see_set_gone(&set);
    assert_eq!(rig.queued(), ["default/foobar"]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pending(&key), None);

    // An observation that comes too late does nothing.
    rig.controller.expectations().creation_observed(&key);
    rig.tell_added(&new_pod("late", &set, "Pending", Owned::Yes));
    assert_eq!(rig.pending(&key), None);
    assert_eq!(rig.queued(), [""; 0]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.cluster.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn test_expectations_on_recreate() {
    let mut rig = Rig::with_burst(100);
    let old = foo_bar(1);
    rig.see_set(&old);
    assert_eq!(rig.queued(), ["default/foobar"]);
    let key = object(&old).key().clone();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert!(!rig.controller.expectations().satisfied(&key));

    rig.see_set_gone(&old);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), None);

    // Its successor starts clean, also if nobody saw the old one go.
    for _ in 0..2 {
        let mut new = foo_bar(1);
        new.metadata.uid = Some(new_uid());
        rig.see_set(&new);
        assert_eq!(rig.queued(), ["default/foobar"]);
        assert_eq!(rig.pending(&key), None);
        rig.cluster.clear();
        rig.sync(&key).await.unwrap();
        assert_eq!(rig.pod_calls(), creates(1));
        assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
    }
}

#[test]
fn test_deletion_timestamp() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    let expectations = || rig.controller.expectations();
    let alive = new_pod("pod0", &set, "Pending", Owned::Yes);
    let versioned = |pod: &Pod, version: &str, deleted: bool| {
        let mut pod = pod.clone();
        pod.metadata.resource_version = Some(version.into());
        pod.metadata.deletion_timestamp = deleted.then(|| Time(now()));
        pod
    };
    let pod = versioned(&alive, "1", true);
    let pod_key = || [object(&pod).key().clone()];
    let met = Some(Pending::new(0, 0));
    let unmet = Some(Pending::new(0, 1));

    // A pod that is known first when it is on its way out counts as a deletion, not a creation.
    expectations().expect_deletions(&key, pod_key());
    rig.tell_added(&pod);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);

    // So does one that is asked to go.
    expectations().expect_deletions(&key, pod_key());
    rig.tell_updated(&versioned(&alive, "2", false), &pod);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);

    // Further changes of it, and its end, count no more.
    let second = new_pod("secondPod", &set, "Pending", Owned::Yes);
    expectations().expect_deletions(&key, [object(&second).key().clone()]);
    rig.tell_updated(&versioned(&alive, "2", true), &pod);
    assert_eq!(rig.pending(&key), unmet);
    rig.tell_deleted(&pod, kubewright_cache::Certainty::Seen);
    assert_eq!(rig.pending(&key), unmet);
    assert_eq!(rig.queued(), ["default/foobar"]);

    rig.tell_deleted(&second, kubewright_cache::Certainty::Seen);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);
}

#[tokio::test(start_paused = true)]
async fn test_do_not_patch_pod_with_other_control_ref() {
    let mut rig = Rig::new();
    let set = foo_bar(2);
    let key = rig.have_set(&set);
    let mut pod = new_pod("pod", &set, "Running", Owned::Yes);
    pod.metadata.owner_references = Some(vec![OwnerReference {
        uid: new_uid(),
        name: "AnotherRS".into(),
        ..controller_ref(&set)
    }]);
    rig.have_pods([&pod]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(2));
}

#[tokio::test(start_paused = true)]
async fn test_patch_pod_fails() {
    let mut rig = Rig::new();
    let set = foo_bar(2);
    let key = rig.have_set(&set);
    rig.cluster.serve(&set);
    let orphans = ["pod1", "pod2"].map(|name| new_pod(name, &set, "Running", Owned::No));
    rig.have_pods(&orphans);
    rig.cluster.fail(Failing::Patches(Failure::Internal));

    let error = rig.sync(&key).await.unwrap_err();
    assert_eq!(error.to_string(), "[fake Error, fake Error]");
    // One look at the set as it is, then both patches; and nothing else in this sync.
    assert_eq!(rig.cluster.calls().len(), 3);
    assert_eq!(rig.cluster.calls()[0], Call::Get("default/foobar".into()));
    assert_eq!(rig.pod_calls(), patches(2));

    let worked = rig.work(&key, Duration::from_millis(1)).await;
    let (failures, delayed) = (1, 1);
    assert_eq!(
        worked,
        Worked { failures, delayed },
        "it is to be tried again"
    );
}

#[tokio::test(start_paused = true)]
async fn orphans_are_adopted_and_strays_released_in_one_sync() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    set.status = Some(status(2));
    let key = rig.have_set(&set);
    rig.cluster.serve(&set);
    let kept = new_pod("pod1", &set, "Running", Owned::Yes);
    let orphan = new_pod("pod2", &set, "Running", Owned::No);
    let mut stray = new_pod("pod3", &set, "Running", Owned::Yes);
    stray.metadata.labels = Some(labels([("foo", "other")]));
    rig.have_pods([&kept, &orphan, &stray]);

    rig.sync(&key).await.unwrap();
    let calls = rig.cluster.calls();
    // In the order of the owned pods, then of the orphans.
    let [
        Call::Patch(released, release),
        Call::Get(_),
        Call::Patch(adopted, adopt),
    ] = &calls[..]
    else {
        panic!("{calls:?}");
    };
    assert_eq!((&**released, &**adopted), ("default/pod3", "default/pod2"));
    let gone = json!([{"$patch": "delete", "uid": set.metadata.uid}]);
    assert_eq!(release["metadata"]["ownerReferences"], gone);
    assert_eq!(release["metadata"]["uid"], json!(stray.metadata.uid));
    let owner = json!([controller_ref(&set)]);
    assert_eq!(adopt["metadata"]["ownerReferences"], owner);
    assert_eq!(adopt["metadata"]["uid"], json!(orphan.metadata.uid));
}

#[tokio::test(start_paused = true)]
async fn pods_that_vanish_while_they_are_claimed_are_no_failure() {
    for (failure, owned, relabel) in [
        (Failure::NotFound, Owned::No, false),
        (Failure::NotFound, Owned::Yes, true),
        (Failure::Invalid, Owned::Yes, true),
    ] {
        let mut rig = Rig::new();
        let set = foo_bar(0);
        let key = rig.have_set(&set);
        rig.cluster.serve(&set);
        let mut pod = new_pod("pod1", &set, "Running", owned);
        if relabel {
            pod.metadata.labels = None;
        }
        rig.have_pods([&pod]);
        rig.cluster.fail(Failing::Patches(failure));
        rig.sync(&key).await.unwrap();
        assert_eq!(rig.pod_calls(), patches(1));
        assert_eq!(rig.statuses(), [status(0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn test_do_not_adopt_or_create_if_being_deleted() {
    let mut rig = Rig::new();
    let set = being_deleted(foo_bar(2));
    let key = rig.have_set(&set);
    let mut stray = new_pod("stray", &set, "Running", Owned::Yes);
    stray.metadata.labels = None;
    rig.have_pods([&new_pod("pod1", &set, "Running", Owned::No), &stray]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
    assert_eq!(
        rig.statuses(),
        [status(0)],
        "the status is written none the less"
    );
}

#[tokio::test(start_paused = true)]
async fn test_do_not_adopt_or_create_if_being_deleted_race() {
    let cached = foo_bar(2);
    let replaced = {
        let mut set = cached.clone();
        set.metadata.uid = Some(new_uid());
        set
    };
    for (case, live) in [
        ("it is being deleted", Some(being_deleted(cached.clone()))),
        ("another is in its place", Some(replaced)),
        ("it is gone", None),
    ] {
        let mut rig = Rig::new();
        let key = rig.have_set(&cached);
        if let Some(live) = live {
            rig.cluster.serve(&live);
        }
        let orphans = ["pod1", "pod2"].map(|name| new_pod(name, &cached, "Running", Owned::No));
        rig.have_pods(&orphans);
        rig.sync(&key).await.expect_err(case);
        // It is looked at once, and nothing else happens.
        assert_eq!(
            rig.cluster.calls(),
            [Call::Get("default/foobar".into())],
            "{case}"
        );
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
    let started = tokio::time::Instant::now();
    let begun = std::cell::RefCell::new(Vec::new());
    let outcome = slow_start_batch(10, 1, || {
        begun.borrow_mut().push(started.elapsed().as_secs());
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, ()>(())
        }
    });
    outcome.await;
    assert_eq!(begun.into_inner(), [0, 1, 1, 2, 2, 2, 2, 3, 3, 3]);
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
