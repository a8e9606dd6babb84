//! The tests of `replica_set_test.go` that are about events, and each row of what events mean.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kubewright_cache::Certainty;
use kubewright_controller::Pending;

use crate::fixtures::{
    Owned, controller_ref, foo_bar, labels, named, new_pod, new_pods, new_replica_set, new_uid,
    now, object, ready_condition,
};
use crate::rig::Rig;

/// A later version of a pod, with changes.
fn changed(pod: &Pod, change: impl FnOnce(&mut Pod)) -> Pod {
    let mut pod = pod.clone();
    let version: u64 = pod
        .metadata
        .resource_version
        .as_deref()
        .unwrap_or("1")
        .parse()
        .unwrap();
    pod.metadata.resource_version = Some((version + 1).to_string());
    change(&mut pod);
    pod
}

#[test]
fn test_delete_final_state_unknown() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    rig.have_set(&set);
    rig.tell_deleted(&new_pods(1, &set, "Running", "pod")[0], Certainty::Inferred);
    assert_eq!(rig.queued(), ["default/foobar"]);
}

#[test]
fn test_update_pods() {
    let mut rig = Rig::new();
    let (bar, foo) = (labels([("foo", "bar")]), labels([("bar", "foo")]));
    let first = foo_bar(1);
    let second = named(new_replica_set(1, &foo), "barfoo");
    rig.have_set(&first);
    rig.have_set(&second);
    let pod = |pod_labels: &crate::fixtures::Labels, owner: &ReplicaSet| {
        let mut pod = new_pod("pod0", owner, "Running", Owned::Yes);
        pod.metadata.labels = Some(pod_labels.clone());
        pod.metadata.resource_version = Some("1".into());
        pod
    };
    let relabelled = |pod: &Pod| changed(pod, |pod| pod.metadata.labels = Some(foo.clone()));
    let orphaned = |pod: &Pod| changed(pod, |pod| pod.metadata.owner_references = None);

    // With a controller: that is who is told, whatever the labels say.
    let old = pod(&bar, &first);
    rig.tell_updated(&old, &relabelled(&old));
    assert_eq!(rig.queued(), ["default/foobar"]);

    // Without it any more: who selects the pod is told.
    let old = pod(&foo, &second);
    rig.tell_updated(&old, &orphaned(&old));
    assert_eq!(rig.queued(), ["default/barfoo"]);

    // And the former owner.
    let old = pod(&foo, &first);
    rig.tell_updated(&old, &orphaned(&old));
    assert_eq!(rig.queued(), ["default/foobar", "default/barfoo"]);

    // Other labels alone: the owner.
    let old = pod(&bar, &second);
    rig.tell_updated(&old, &relabelled(&old));
    assert_eq!(rig.queued(), ["default/barfoo"]);
}

#[test]
fn test_overlapping_rss() {
    let mut rig = Rig::new();
    let sets: Vec<_> = (1..10)
        .map(|n| named(foo_bar(1), &format!("rs{n}")))
        .collect();
    let mut shuffled: Vec<_> = sets.iter().collect();
    fastrand::Rng::with_seed(3).shuffle(&mut shuffled);
    for set in shuffled {
        rig.have_set(set);
    }
    rig.tell_added(&new_pods(1, &sets[3], "Pending", "pod")[0]);
    assert_eq!(rig.queued(), ["default/rs4"]);
}

#[test]
fn a_set_is_queued_by_every_event_of_it() {
    let mut rig = Rig::new();
    let mut set = foo_bar(1);
    rig.see_set(&set);
    assert_eq!(rig.queued(), ["default/foobar"]);
    set.metadata.resource_version = Some("19".into());
    rig.see_set(&set);
    assert_eq!(rig.queued(), ["default/foobar"]);
    rig.see_set_gone(&set);
    assert_eq!(rig.queued(), ["default/foobar"]);
}

#[test]
fn the_end_of_a_set_leaves_nothing_behind() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    rig.see_set(&set);
    let object = object(&set);
    let (key, uid) = (object.key(), object.meta().uid());
    rig.controller.expectations().expect_creations(key, 3);
    let own = rig.controller.own_writes();
    let store = own.track("pods", &rig.stores.caches().pods);
    store.wrote(key, uid, &"7".into());
    assert_eq!(own.len(), 1);

    rig.see_set_gone(&set);
    assert_eq!(rig.pending(key), None);
    assert!(rig.controller.own_writes().is_empty());
}

#[test]
fn a_new_pod_of_a_set_is_counted_once_and_queues_the_set() {
    let mut rig = Rig::new();
    let set = foo_bar(2);
    let key = rig.have_set(&set);
    rig.controller.expectations().expect_creations(&key, 2);
    rig.tell_added(&new_pod("pod0", &set, "Pending", Owned::Yes));
    assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
    assert_eq!(rig.queued(), ["default/foobar"]);
}

#[test]
fn references_that_do_not_resolve_concern_nobody() {
    let set = foo_bar(1);
    let reference = |change: fn(&mut OwnerReference)| {
        let mut reference = controller_ref(&set);
        change(&mut reference);
        reference
    };
    for (case, reference) in [
        ("another kind", reference(|it| it.kind = "Job".into())),
        (
            "a set that is not there",
            reference(|it| it.name = "nobody".into()),
        ),
        ("another incarnation", reference(|it| it.uid = new_uid())),
    ] {
        let mut rig = Rig::new();
        let key = rig.have_set(&set);
        rig.controller.expectations().expect_creations(&key, 1);
        let mut pod = new_pod("pod0", &set, "Pending", Owned::No);
        pod.metadata.owner_references = Some(vec![reference]);
        rig.tell_added(&pod);
        rig.tell_updated(&pod, &changed(&pod, |_| {}));
        rig.tell_deleted(&pod, Certainty::Seen);
        assert_eq!(rig.queued(), [""; 0], "{case}");
        assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)), "{case}");
    }
}

#[test]
fn an_orphan_queues_all_sets_that_select_it_and_counts_for_none() {
    let mut rig = Rig::new();
    let [one, two] = ["one", "two"].map(|name| named(foo_bar(1), name));
    let key = rig.have_set(&one);
    rig.have_set(&two);
    rig.have_set(&named(
        new_replica_set(1, &labels([("foo", "other")])),
        "three",
    ));
    rig.controller.expectations().expect_creations(&key, 1);
    let orphan = new_pod("pod0", &one, "Running", Owned::No);

    rig.tell_added(&orphan);
    assert_eq!(rig.queued(), ["default/one", "default/two"]);
    assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));

    // Its end is nobody's business, nor is a change of anything but labels and owners.
    rig.tell_deleted(&orphan, Certainty::Seen);
    rig.tell_updated(&orphan, &changed(&orphan, |pod| pod.status = None));
    assert_eq!(rig.queued(), [""; 0]);
    let stray = changed(&orphan, |pod| {
        pod.metadata.labels = Some(labels([("a", "b")]));
    });
    rig.tell_updated(
        &stray,
        &changed(&stray, |pod| {
            pod.metadata.labels = orphan.metadata.labels.clone();
        }),
    );
    assert_eq!(rig.queued(), ["default/one", "default/two"]);
}

#[test]
fn a_resync_of_a_pod_is_nothing() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    rig.have_set(&set);
    let mut pod = new_pod("pod0", &set, "Running", Owned::Yes);
    pod.metadata.resource_version = Some("5".into());
    rig.tell_updated(&pod, &pod);
    assert_eq!(rig.queued(), [""; 0]);
}

#[test]
fn a_pod_handed_over_queues_both_owners() {
    let mut rig = Rig::new();
    let [one, two] = ["one", "two"].map(|name| named(foo_bar(1), name));
    rig.have_set(&one);
    rig.have_set(&two);
    let pod = new_pod("pod0", &one, "Running", Owned::Yes);
    let moved = changed(&pod, |pod| {
        pod.metadata.owner_references = Some(vec![controller_ref(&two)]);
    });
    rig.tell_updated(&pod, &moved);
    assert_eq!(rig.queued(), ["default/one", "default/two"]);
}

#[test]
fn a_pod_asked_to_go_under_other_labels_counts_for_its_old_state_too() {
    let mut rig = Rig::new();
    let [one, two] = ["one", "two"].map(|name| named(foo_bar(1), name));
    rig.have_set(&one);
    rig.have_set(&two);
    let pod = new_pod("pod0", &one, "Running", Owned::Yes);
    let gone = changed(&pod, |pod| {
        pod.metadata.deletion_timestamp = Some(Time(now()));
        pod.metadata.labels = None;
        pod.metadata.owner_references = Some(vec![controller_ref(&two)]);
    });
    rig.tell_updated(&pod, &gone);
    assert_eq!(rig.queued(), ["default/two", "default/one"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_ready_queues_its_set_again_once_it_is_available() {
    for (min_ready, delayed) in [(0, 0), (30, 1)] {
        let mut rig = Rig::new();
        let mut set = foo_bar(1);
        set.spec.as_mut().unwrap().min_ready_seconds = Some(min_ready);
        rig.have_set(&set);
        let ready = new_pod("pod0", &set, "Running", Owned::Yes);
        let not_ready = changed(&ready, |pod| {
            pod.status.as_mut().unwrap().conditions = Some(vec![ready_condition("False", None)]);
        });
        rig.tell_updated(
            &not_ready,
            &changed(&not_ready, |pod| pod.status = ready.status.clone()),
        );
        assert_eq!(rig.queued(), ["default/foobar"]);
        assert_eq!(rig.delayed(), delayed);
        tokio::time::advance(std::time::Duration::from_secs(29)).await;
        assert_eq!(rig.queued(), [""; 0]);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(rig.queued().len(), delayed);

        // Neither one that was ready before, nor one that no longer is.
        rig.tell_updated(&ready, &changed(&ready, |_| {}));
        rig.tell_updated(&ready, &not_ready);
        assert_eq!(rig.delayed(), 0);
    }
}
