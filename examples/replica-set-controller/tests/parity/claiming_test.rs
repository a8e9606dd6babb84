//! The tests of `replica_set_test.go` about adoption and release.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use replica_set_controller::SyncError;
use serde_json::json;

use crate::fixtures::{
    Owned, being_deleted, controller_ref, foo_bar, labels, new_pod, new_uid, settled_status,
};
use crate::recorded::{Call, Failing, Failure};
use crate::rig::{NONE, RETRYING, Rig, patches};

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
    // Not even the set is looked at past the cache, for there is nobody to adopt.
    let calls = rig.cluster.calls();
    let [
        Call::Create(..),
        Call::Create(..),
        Call::UpdateStatus(_, _, status),
    ] = &calls[..]
    else {
        panic!("{calls:?}");
    };
    assert_eq!(status.replicas, 0);
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
    assert_eq!(worked, RETRYING, "it is to be tried again");
}

#[tokio::test(start_paused = true)]
async fn orphans_are_adopted_and_strays_released_in_one_sync() {
    let mut rig = Rig::new();
    let mut set = foo_bar(2);
    set.status = Some(settled_status(2));
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
        assert_eq!(rig.statuses(), [settled_status(0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_else_is_refused_fails_the_sync() {
    // The server says 422 of an adoption where the pod is another incarnation. That is not passed
    // over: the cache will tell, and the sync is tried again.
    for (failure, owned, relabel) in [
        (Failure::Invalid, Owned::No, false),
        (Failure::Internal, Owned::Yes, true),
        (Failure::Conflict, Owned::Yes, true),
    ] {
        let mut rig = Rig::new();
        let set = foo_bar(2);
        let key = rig.have_set(&set);
        rig.cluster.serve(&set);
        let mut pod = new_pod("pod1", &set, "Running", owned);
        if relabel {
            pod.metadata.labels = None;
        }
        rig.have_pods([&pod]);
        rig.cluster.fail(Failing::Patches(failure));
        let error = rig.sync(&key).await.unwrap_err();
        assert!(matches!(error, SyncError::Claim(_)), "{error}");
        assert_eq!(rig.pod_calls(), patches(1));
        assert_eq!(rig.statuses(), [], "nothing else is done");
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
        [settled_status(0)],
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
