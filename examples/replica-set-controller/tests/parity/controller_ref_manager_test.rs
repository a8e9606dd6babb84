//! `pkg/controller/controller_ref_manager_test.go`: what is decided, and the patches.
//!
//! That the patches are made, and in which order, is in `replica_set_test`. Upstream's cases
//! with finalizers are about Jobs: a ReplicaSet sets none on its pods.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kubewright_cache::Uid;
use replica_set_controller::{Claim, Claimant, ControllerRef, OwnerPatch, Selector};
use serde_json::json;

use crate::fixtures::{Labels, Owned, labels, new_pod, new_replica_set, now, object};

fn production() -> Labels {
    labels([("type", "production")])
}

#[derive(Clone, Copy)]
enum Owner {
    Me,
    Other,
    Nobody,
}

/// What the claimant is like.
#[derive(Clone, Copy)]
struct Me {
    namespace: Option<&'static str>,
    being_deleted: bool,
}

const ALIVE: Me = Me {
    namespace: Some("default"),
    being_deleted: false,
};
const DELETED: Me = Me {
    being_deleted: true,
    ..ALIVE
};

#[test]
fn test_claim_pods() {
    let me = new_replica_set(1, &production());
    let other = new_replica_set(1, &production());
    let pod = |pod_labels: &Labels, owner: Owner| {
        let (owner, owned) = match owner {
            Owner::Me => (&me, Owned::Yes),
            Owner::Other => (&other, Owned::Yes),
            Owner::Nobody => (&me, Owned::No),
        };
        let mut pod = new_pod("pod", owner, "Running", owned);
        pod.metadata.labels = Some(pod_labels.clone());
        pod
    };
    let deleted = |mut pod: Pod| {
        pod.metadata.deletion_timestamp = Some(Time(now()));
        pod
    };
    let elsewhere = |mut pod: Pod| {
        pod.metadata.namespace = Some("fakens".into());
        pod
    };
    let (matching, testing) = (production(), labels([("type", "testing")]));
    let cluster_scoped = Me {
        namespace: None,
        ..ALIVE
    };

    let orphan = pod(&matching, Owner::Nobody);
    let own = pod(&matching, Owner::Me);
    let cases: [(&str, Me, Pod, Claim); 14] = [
        (
            "an orphan with the right labels",
            ALIVE,
            orphan.clone(),
            Claim::Adopt,
        ),
        (
            "an orphan with others",
            ALIVE,
            pod(&testing, Owner::Nobody),
            Claim::Ignore,
        ),
        (
            "an orphan, while being deleted",
            DELETED,
            orphan.clone(),
            Claim::Ignore,
        ),
        (
            "its own, while being deleted",
            DELETED,
            own.clone(),
            Claim::Keep,
        ),
        (
            "its own with other labels, while being deleted",
            DELETED,
            pod(&testing, Owner::Me),
            Claim::Ignore,
        ),
        ("its own", ALIVE, own.clone(), Claim::Keep),
        (
            "another controller's",
            ALIVE,
            pod(&matching, Owner::Other),
            Claim::Ignore,
        ),
        (
            "another controller's with other labels",
            ALIVE,
            pod(&testing, Owner::Other),
            Claim::Ignore,
        ),
        (
            "its own with other labels",
            ALIVE,
            pod(&testing, Owner::Me),
            Claim::Release,
        ),
        (
            "its own that is being deleted",
            ALIVE,
            deleted(own),
            Claim::Keep,
        ),
        (
            "an orphan that is being deleted",
            ALIVE,
            deleted(orphan.clone()),
            Claim::Ignore,
        ),
        (
            "an orphan of another namespace",
            ALIVE,
            elsewhere(orphan.clone()),
            Claim::Ignore,
        ),
        (
            "an orphan of any namespace, by a cluster-scoped controller",
            cluster_scoped,
            elsewhere(orphan.clone()),
            Claim::Adopt,
        ),
        (
            "an orphan of one namespace, by a cluster-scoped controller",
            cluster_scoped,
            orphan,
            Claim::Adopt,
        ),
    ];

    let selector = Selector::new(Some(&LabelSelector {
        match_labels: Some(production()),
        ..LabelSelector::default()
    }));
    let (selector, uid) = (selector.unwrap(), object(&me));
    for (case, claimant, pod, expected) in cases {
        let claimant = Claimant {
            uid: uid.meta().uid(),
            namespace: claimant.namespace,
            being_deleted: claimant.being_deleted,
            selector: &selector,
        };
        assert_eq!(claimant.decide(object(&pod).meta()), expected, "{case}");
    }
}

#[test]
fn test_claim_pods_patches_name_the_controller_and_guard_the_pod() {
    let set = new_replica_set(1, &production());
    let pod = object(&new_pod("pod1", &set, "Running", Owned::No));
    let set = object(&set);
    let owner = ControllerRef::to(&set).unwrap();
    let patch = OwnerPatch::adopt(pod.meta(), &owner);
    let patch: serde_json::Value = serde_json::from_slice(patch.body()).unwrap();
    let expected = json!({"metadata": {
        "uid": pod.meta().uid().to_string(),
        "ownerReferences": [{
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "foobar",
            "uid": set.meta().uid().to_string(),
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    }});
    assert_eq!(patch, expected);
}

#[test]
fn test_generate_patch_bytes_for_delete() {
    for (case, owners, pod, expected) in [
        (
            "the structure",
            &["ss1"][..],
            "ss2",
            r#"{"metadata":{"uid":"ss2","ownerReferences":[{"$patch":"delete","uid":"ss1"}]}}"#,
        ),
        (
            "an owner's uid is escaped",
            &[r#"ss1"hello"#],
            "ss2",
            r#"{"metadata":{"uid":"ss2","ownerReferences":[{"$patch":"delete","uid":"ss1\"hello"}]}}"#,
        ),
        (
            "the pod's uid is escaped",
            &["ss1"],
            r#"ss2"hello"#,
            r#"{"metadata":{"uid":"ss2\"hello","ownerReferences":[{"$patch":"delete","uid":"ss1"}]}}"#,
        ),
        (
            "several owners",
            &["ss1", "ss2"],
            "ss2",
            r#"{"metadata":{"uid":"ss2","ownerReferences":[{"$patch":"delete","uid":"ss1"},{"$patch":"delete","uid":"ss2"}]}}"#,
        ),
    ] {
        let owners: Vec<_> = owners.iter().map(|uid| Uid::from(*uid)).collect();
        let owners: Vec<_> = owners.iter().collect();
        let patch = OwnerPatch::release(&Uid::from(pod), &owners);
        assert_eq!(str::from_utf8(patch.body()).unwrap(), expected, "{case}");
    }
}
