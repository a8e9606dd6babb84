//! `pkg/controller/controller_utils_test.go`, as far as it concerns ReplicaSets.

use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference, Time};
use kube_client::Client;
use kubewright_cache::{Object, ObjectKey};
use kubewright_controller::{EventRecorder, RecorderConfig};
use replica_set_controller::{
    Answer, Caches, Claimant, Cluster, LiveCluster, NewPod, Orphans, OwnerPatch, ReplicaSetView,
    Roster, Selector,
};
use serde_json::json;

use crate::api::{Api, Asked, not_found};
use crate::fixtures::{
    Owned, controller_ref, labels, names, new_pod, new_pods, new_replica_set, new_uid, now, object,
    views,
};
use crate::stores::Stores;

/// A cluster behind an API, with a recorder that nobody listens to.
fn live(client: Client) -> LiveCluster {
    let (recorder, _) = EventRecorder::new(client.clone(), &RecorderConfig::of("test"));
    LiveCluster::new(client, recorder, Duration::from_secs(1))
}

fn set() -> ReplicaSet {
    new_replica_set(1, &labels([("name", "foo")]))
}

fn pod_of(set: &Object<ReplicaSet>) -> NewPod {
    let body = set.body();
    NewPod::of(&ReplicaSetView::new(set, &body).unwrap()).unwrap()
}

#[tokio::test]
async fn test_create_pods_with_generate_name() {
    let api = Api::default();
    let cluster = live(api.client(|_| {
        let pod = json!({"metadata": {"name": "foobar-x7k2p", "resourceVersion": "19"}});
        (201, pod)
    }));
    let typed = set();
    let set = object(&typed);
    let written = cluster.create_pod("default", &pod_of(&set)).await.unwrap();
    assert_eq!(written.name, "foobar-x7k2p");
    assert_eq!(written.resource_version, "19");

    let template = typed.spec.as_ref().unwrap().template.as_ref().unwrap();
    let expected = Asked {
        what: "POST /api/v1/namespaces/default/pods".into(),
        content_type: Some("application/json".into()),
        body: json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "foobar-",
                "labels": template.metadata.as_ref().unwrap().labels,
                "ownerReferences": [controller_ref(&typed)],
            },
            "spec": template.spec,
        }),
    };
    assert_eq!(api.asked(), [expected]);
}

#[tokio::test]
async fn test_patch_pod_callbacks() {
    let api = Api::default();
    let cluster = live(api.client(|asked| {
        if asked.what.ends_with("/nobody") {
            not_found()
        } else {
            let pod = json!({"metadata": {"name": "test-pod", "resourceVersion": "7"}});
            (200, pod)
        }
    }));
    let pod = object(&new_pod("test-pod", &set(), "Running", Owned::Yes));
    let patch = OwnerPatch::release(pod.meta().uid(), &[pod.meta().uid()]);

    let nobody = ObjectKey::namespaced("default", "nobody");
    let error = cluster.patch_pod(&nobody, &patch).await.unwrap_err();
    assert!(Answer(&error).is_not_found());

    // Only what was written has a version to wait for.
    let written = cluster.patch_pod(pod.key(), &patch).await.unwrap();
    assert_eq!(written.resource_version, "7");

    let asked = |name: &str| Asked {
        what: format!("PATCH /api/v1/namespaces/default/pods/{name}"),
        content_type: Some("application/strategic-merge-patch+json".into()),
        body: serde_json::from_slice(patch.body()).unwrap(),
    };
    assert_eq!(api.asked(), [asked("nobody"), asked("test-pod")]);
}

#[tokio::test]
async fn test_delete_pods_allows_missing() {
    let api = Api::default();
    let cluster = live(api.client(|_| not_found()));
    let pod = ObjectKey::namespaced("namespace-name", "podName");
    let error = cluster.delete_pod(&pod).await.unwrap_err();
    assert!(Answer(&error).is_not_found());
    let asked: Vec<_> = api.asked().into_iter().map(|asked| asked.what).collect();
    assert_eq!(
        asked,
        ["DELETE /api/v1/namespaces/namespace-name/pods/podName"]
    );
}

fn in_phase(mut pod: Pod, phase: &str) -> Pod {
    pod.status.get_or_insert_default().phase = Some(phase.into());
    pod
}

fn deleted(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(now()));
    pod
}

/// The pods of `set` that each test of a filter sorts: what `change` makes of each by its index.
fn changed(set: &ReplicaSet, count: usize, change: fn(usize, Pod) -> Pod) -> Vec<Pod> {
    let pods = new_pods(count, set, "Running", "pod").into_iter();
    pods.enumerate()
        .map(|(index, pod)| change(index, pod))
        .collect()
}

fn roster(set: &ReplicaSet, pods: &[Pod]) -> Roster {
    let set = object(set);
    let body = set.body();
    let view = ReplicaSetView::new(&set, &body).unwrap();
    let selector = view.selector().unwrap();
    let claimant = Claimant {
        uid: set.meta().uid(),
        namespace: set.meta().namespace(),
        being_deleted: false,
        selector: &selector,
    };
    Roster::new(&claimant, pods.iter().map(object))
}

#[test]
fn test_count_terminating_pods() {
    let set = set();
    let pods = changed(&set, 7, |index, pod| match index {
        0 => in_phase(pod, "Succeeded"),
        1 => in_phase(pod, "Failed"),
        2 => deleted(in_phase(pod, "Pending")),
        3 => deleted(pod),
        4 => deleted(in_phase(pod, "Succeeded")),
        _ => pod,
    });
    let terminating: Vec<_> = views(&pods);
    let terminating = terminating.iter().filter(|pod| pod.is_terminating());
    assert_eq!(names(terminating), ["pod2", "pod3"]);
    assert_eq!(roster(&set, &pods).terminating, 2);
}

#[test]
fn test_claimed_pod_filtering() {
    let set = set();
    let mut pods = changed(&set, 4, |_, pod| deleted(pod));
    pods[1].metadata.labels = Some(labels([("name", "other")]));
    pods[2].metadata.owner_references = None;
    pods[3].metadata.owner_references.as_mut().unwrap()[0].uid = new_uid();
    let selector = Selector::new(Some(&LabelSelector {
        match_labels: Some(labels([("name", "foo")])),
        ..LabelSelector::default()
    }));
    let (selector, owner) = (selector.unwrap(), object(&set));
    let claimant = Claimant {
        uid: owner.meta().uid(),
        namespace: Some("default"),
        being_deleted: false,
        selector: &selector,
    };
    let held: Vec<_> = views(&pods);
    let held = held.iter().filter(|pod| claimant.holds(pod.meta()));
    assert_eq!(names(held), ["pod0"]);
    assert_eq!(roster(&set, &pods).terminating, 1);
}

#[test]
fn test_active_pod_filtering() {
    let set = set();
    let pods = changed(&set, 6, |index, pod| match index {
        0 => in_phase(pod, "Succeeded"),
        1 => in_phase(pod, "Failed"),
        2 => in_phase(pod, ""),
        3 => deleted(pod),
        _ => pod,
    });
    let active = views(&pods);
    let active = active.iter().filter(|pod| pod.is_active());
    assert_eq!(names(active), ["pod2", "pod4", "pod5"]);
    let claims = roster(&set, &pods).claims;
    assert_eq!(
        names(claims.iter().map(|(_, pod)| pod)),
        ["pod2", "pod4", "pod5"]
    );
}

#[test]
fn test_filter_pods_by_owner() {
    let owner = set();
    let pod = |name: &str, namespace: &str, references: &[OwnerReference]| {
        let mut pod = new_pod(name, &owner, "Running", Owned::No);
        pod.metadata.namespace = Some(namespace.into());
        pod.metadata.owner_references = Some(references.to_vec());
        pod
    };
    let mine = controller_ref(&owner);
    let change = |change: fn(&mut OwnerReference)| {
        let mut reference = mine.clone();
        change(&mut reference);
        reference
    };
    let no_controller = change(|reference| reference.controller = None);
    let pods = [
        pod("mine", "default", std::slice::from_ref(&mine)),
        pod("mine-elsewhere", "other", std::slice::from_ref(&mine)),
        pod("other-uid", "default", &[change(|it| it.uid = new_uid())]),
        pod(
            "other-kind",
            "default",
            &[change(|it| it.kind = "Job".into())],
        ),
        pod(
            "other-name",
            "default",
            &[change(|it| it.name = "x".into())],
        ),
        pod("owned-only", "default", &[no_controller]),
        pod("orphan", "default", &[]),
        pod("orphan-elsewhere", "other", &[]),
    ];
    let mut stores = Stores::default();
    for pod in &pods {
        stores.put_pod(pod);
    }
    let caches: &Caches = stores.caches();
    let owner = object(&owner);
    let found = |orphans| {
        let pods = caches.pods_by_owner(owner.meta(), orphans);
        let mut names: Vec<_> = pods
            .iter()
            .map(|pod| pod.meta().name().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(found(Orphans::Excluded), ["mine"]);
    assert_eq!(found(Orphans::Included), ["mine", "orphan", "owned-only"]);
}
