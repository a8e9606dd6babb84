//! `test/integration/replicaset/replicaset_test.go`.
//!
//! Beside what upstream looks at, each test says which writes of pods it took.

use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube_client::Error;
use kube_client::api::{DeleteParams, PostParams};
use replica_set_controller::Config;
use serde_json::{Value, json};

use crate::lab::{Lab, matching_pod, name_of, new_set};

/// A reference to a set that is not its controller.
fn owner_ref(set: &ReplicaSet) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        name: set.metadata.name.clone().unwrap(),
        uid: set.metadata.uid.clone().unwrap(),
        ..OwnerReference::default()
    }
}

fn owners(pod: &Pod) -> Vec<OwnerReference> {
    pod.metadata.owner_references.clone().unwrap_or_default()
}

const CREATE: &str = "create default/";

fn patch(pod: &Pod) -> String {
    format!("patch default/{}", name_of(pod))
}

fn delete(pod: &Pod) -> String {
    format!("delete default/{}", name_of(pod))
}

/// The deletes of all of `pods` but those that are `left`.
fn deletes(pods: &[Pod], left: &[Pod]) -> Vec<String> {
    let is_left = |pod: &&Pod| left.iter().any(|it| it.metadata.uid == pod.metadata.uid);
    pods.iter()
        .filter(|pod| !is_left(pod))
        .map(delete)
        .collect()
}

/// The uid of a pod's controller.
fn controller_of(pod: &Pod) -> Option<String> {
    let controller = owners(pod)
        .into_iter()
        .find(|owner| owner.controller == Some(true));
    controller.map(|owner| owner.uid)
}

#[tokio::test(start_paused = true)]
async fn test_adoption() {
    let adopted = |set: &ReplicaSet| OwnerReference {
        controller: Some(true),
        block_owner_deletion: Some(true),
        ..owner_ref(set)
    };
    let controller_only = |set: &ReplicaSet| OwnerReference {
        controller: Some(true),
        ..owner_ref(set)
    };
    let another = || OwnerReference {
        uid: "1".into(),
        name: "anotherRS".into(),
        controller: Some(true),
        ..owner_ref(&ReplicaSet {
            metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                name: Some(String::new()),
                uid: Some(String::new()),
                ..Default::default()
            },
            ..ReplicaSet::default()
        })
    };
    for case in 0..4 {
        // Garbage collection would take references to what is not there away.
        let lab = Lab::without_garbage_collection();
        let set = lab.create_set(&new_set("rs", 1)).await;
        let (existing, expected, writes) = match case {
            0 => (
                vec![owner_ref(&set)],
                vec![adopted(&set)],
                vec!["patch default/pod"],
            ),
            1 => (vec![], vec![adopted(&set)], vec!["patch default/pod"]),
            2 => {
                let owners = vec![controller_only(&set)];
                (owners.clone(), owners, vec![])
            }
            _ => {
                let owners = vec![another(), owner_ref(&set)];
                (owners.clone(), owners, vec![CREATE])
            }
        };
        let mut pod = matching_pod("pod");
        pod.metadata.owner_references = Some(existing);
        lab.create_pod(&pod).await;
        let running = lab.start();
        lab.stable("rs").await;
        let pod = lab.pods().get("pod").await.unwrap();
        assert_eq!(owners(&pod), expected, "case {case}");
        assert_eq!(lab.wire.pod_writes(), writes, "case {case}");
        running.stop().await;
        lab.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn test_spec_replicas_change() {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("rs", 2)).await;
    lab.stable("rs").await;
    for replicas in [3, 0, 2] {
        lab.scale("rs", replicas).await;
        lab.stable("rs").await;
        lab.until_pods(usize::try_from(replicas).unwrap()).await;
    }

    // A change of the spec that changes no number is observed all the same.
    let annotation = json!({"test": "annotation"});
    let change = json!({"spec": {"template": {"metadata": {"annotations": annotation}}}});
    let before = lab.sets().get("rs").await.unwrap().metadata.generation;
    let generation = lab.change_set("rs", change).await.metadata.generation;
    assert!(generation > before);
    let set = lab.stable("rs").await;
    assert_eq!(set.status.unwrap().observed_generation, generation);
    let writes = lab.wire.pod_writes();
    let verbs: Vec<_> = writes
        .iter()
        .map(|it| it.split_once(' ').unwrap().0)
        .collect();
    let (create, delete) = ("create", "delete");
    assert_eq!(
        verbs,
        [
            create, create, create, delete, delete, delete, create, create
        ]
    );
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_deleting_and_failed_pods() {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("rs", 2)).await;
    lab.stable("rs").await;
    let pods = lab.until_pods(2).await;

    let finalizers = json!({"metadata": {"finalizers": ["fake.example.com/blockDeletion"]}});
    lab.change_pod(&pods[0], finalizers).await;
    lab.delete_pod(&pods[0]).await;
    lab.change_pod_status(&pods[1], json!({"phase": "Failed"}))
        .await;

    // Both are replaced, and both are still there.
    let all = lab.until_pods(4).await;
    for pod in &pods {
        assert!(
            all.iter()
                .any(|other| other.metadata.uid == pod.metadata.uid)
        );
    }
    lab.stable("rs").await;
    lab.remains(async || lab.all_pods().await.len()).await;
    assert_eq!(lab.wire.pod_writes(), [CREATE; 4]);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_pod_deletion_cost() {
    for (case, costs, enabled, remaining) in [
        ("different costs", Some(["1000", "100"]), true, 0),
        ("the same cost", Some(["100", "100"]), true, 1),
        ("no cost", None, true, 1),
        (
            "different costs, and nobody looks",
            Some(["1000", "100"]),
            false,
            1,
        ),
    ] {
        let lab = Lab::new();
        let mut config = Config::default();
        config.gates.pod_deletion_cost = enabled;
        let running = lab.start_with(config);
        lab.create_set(&new_set("rs", 2)).await;
        lab.stable("rs").await;
        let pods = lab.until_pods(2).await;
        // Without costs the one that was restarted more often goes.
        for (index, pod) in pods.iter().enumerate() {
            if let Some(costs) = costs {
                let cost = json!({"controller.kubernetes.io/pod-deletion-cost": costs[index]});
                lab.change_pod(pod, json!({"metadata": {"annotations": cost}}))
                    .await;
            }
            let restarts = if index == 0 { 5 } else { 0 };
            let status = json!({
                "name": "fake-name", "image": "fakeimage", "imageID": "", "ready": false,
                "restartCount": restarts,
            });
            lab.change_pod_status(pod, json!({"containerStatuses": [status]}))
                .await;
        }
        lab.scale("rs", 1).await;
        let left = lab.until_pods(1).await;
        assert_eq!(left[0].metadata.uid, pods[remaining].metadata.uid, "{case}");
        let gone = delete(&pods[1 - remaining]);
        assert_eq!(lab.wire.pod_writes(), [CREATE, CREATE, &gone], "{case}");
        running.stop().await;
        lab.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn test_overlapping_rss() {
    let lab = Lab::new();
    let running = lab.start();
    for (name, replicas) in [("rs-1", 1), ("rs-2", 2)] {
        lab.create_set(&new_set(name, replicas)).await;
        lab.stable(name).await;
    }
    lab.until_pods(3).await;
    for (name, replicas) in [("rs-1", 1), ("rs-2", 2)] {
        let set = lab.stable(name).await;
        let pods = lab.all_pods().await;
        let own = pods
            .iter()
            .filter(|pod| controller_of(pod) == set.metadata.uid);
        assert_eq!(own.count(), replicas, "{name}");
    }
    lab.remains(async || lab.all_pods().await).await;
    assert_eq!(lab.wire.pod_writes(), [CREATE; 3]);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_pod_orphaning_and_adoption_when_labels_change() {
    let lab = Lab::new();
    let running = lab.start();
    let set = lab.create_set(&new_set("rs", 1)).await;
    lab.stable("rs").await;
    let pod = lab.until_pods(1).await.remove(0);
    assert_eq!(controller_of(&pod), set.metadata.uid);

    // Under other labels it is released, and replaced.
    let labels = json!({"metadata": {"labels": {"name": null, "new-foo": "new-bar"}}});
    lab.change_pod(&pod, labels).await;
    lab.until_pods(2).await;
    let released = lab.until("it is released", async || {
        let pod = lab.pods().get(name_of(&pod)).await.unwrap();
        owners(&pod).is_empty().then_some(pod)
    });
    released.await;
    lab.stable("rs").await;

    let both = lab.all_pods().await;
    // Under the old ones it is adopted; then there is one too many, and one of the two goes.
    let labels = json!({"metadata": {"labels": {"name": "test", "new-foo": null}}});
    lab.change_pod(&pod, labels).await;
    let left = lab.until_pods(1).await;
    assert_eq!(controller_of(&left[0]), set.metadata.uid);
    let patched = patch(&pod);
    let gone = deletes(&both, &left).remove(0);
    assert_eq!(
        lab.wire.pod_writes(),
        [CREATE, &patched, CREATE, &patched, &gone],
    );
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_general_pod_adoption() {
    // Garbage collection would take references to what is not there away.
    let lab = Lab::without_garbage_collection();
    let running = lab.start();
    let set = lab.create_set(&new_set("rs", 1)).await;
    lab.stable("rs").await;
    let pod = lab.until_pods(1).await.remove(0);
    let of_another = OwnerReference {
        api_version: "v1".into(),
        kind: "ReplicationController".into(),
        name: "rc".into(),
        uid: "1".into(),
        controller: Some(false),
        block_owner_deletion: None,
    };
    let of_its_own = OwnerReference {
        controller: Some(false),
        ..owner_ref(&set)
    };
    for (reference, expected) in [(of_another, 2), (of_its_own, 1)] {
        let references = json!({"metadata": {"ownerReferences": [reference]}});
        lab.change_pod(&pod, references).await;
        let adopted = lab.until("it is adopted", async || {
            let pod = lab.pods().get(name_of(&pod)).await.unwrap();
            controller_of(&pod).is_some().then_some(pod)
        });
        let adopted = adopted.await;
        assert_eq!(controller_of(&adopted), set.metadata.uid);
        assert_eq!(owners(&adopted).len(), expected);
    }
    let patched = patch(&pod);
    assert_eq!(lab.wire.pod_writes(), [CREATE, &patched, &patched]);
    running.stop().await;
    lab.finish().await;
}

fn ready(status: &str, since: jiff::Timestamp) -> Value {
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": since});
    json!({"phase": "Running", "conditions": [condition]})
}

/// `time`, to the second as the API keeps it.
fn whole(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn test_ready_and_available_replicas() {
    let lab = Lab::new();
    let running = lab.start();
    let mut set = new_set("rs", 3);
    set.spec.as_mut().unwrap().min_ready_seconds = Some(3600);
    lab.create_set(&set).await;
    let set = lab.stable("rs").await;
    assert_eq!(
        set.status.unwrap().available_replicas.unwrap_or_default(),
        0
    );

    let pods = lab.until_pods(3).await;
    let now = whole(lab.clock.now());
    let two_hours_ago = now - jiff::Span::new().hours(2);
    lab.change_pod_status(&pods[0], ready("False", now)).await;
    lab.change_pod_status(&pods[1], ready("True", now)).await;
    lab.change_pod_status(&pods[2], ready("True", two_hours_ago))
        .await;
    let counts = async || {
        let status = lab.sets().get("rs").await.unwrap().status.unwrap();
        let part = |count: Option<i32>| count.unwrap_or_default();
        (
            status.replicas,
            part(status.ready_replicas),
            part(status.available_replicas),
        )
    };
    let seen = |wanted| {
        lab.until("the counts are right", async move || {
            (counts().await == wanted).then_some(())
        })
    };
    seen((3, 2, 1)).await;

    // Time alone makes the second one available, when it is due and not long after.
    let wait = Duration::from_secs(3600) - Duration::from_secs(30);
    tokio::time::sleep(wait).await;
    assert_eq!(counts().await, (3, 2, 1));
    seen((3, 2, 2)).await;
    assert_eq!(lab.wire.pod_writes(), [CREATE; 3]);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_rs_scale_subresource() {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("rs", 1)).await;
    lab.stable("rs").await;
    let mut pods = Vec::new();
    for replicas in [3, 0] {
        let mut scale = lab.sets().get_scale("rs").await.unwrap();
        let set = lab.sets().get("rs").await.unwrap();
        let wanted = |scale: &k8s_openapi::api::autoscaling::v1::Scale| {
            // A zero is left out.
            scale.spec.as_ref().unwrap().replicas.or(Some(0))
        };
        assert_eq!(wanted(&scale), set.spec.unwrap().replicas);
        scale.spec.as_mut().unwrap().replicas = Some(replicas);
        let params = PostParams::default();
        lab.sets()
            .replace_scale("rs", &params, &scale)
            .await
            .unwrap();
        lab.stable("rs").await;
        let scale = lab.sets().get_scale("rs").await.unwrap();
        assert_eq!(wanted(&scale), Some(replicas));
        assert_eq!(scale.status.unwrap().replicas, replicas);
        if replicas == 3 {
            pods = lab.until_pods(3).await;
        }
    }
    let mut writes = lab.wire.pod_writes();
    let mut gone = writes.split_off(3);
    gone.sort();
    assert_eq!(writes, [CREATE; 3]);
    assert_eq!(gone, deletes(&pods, &[]));
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_extra_pods_adoption_and_deletion() {
    let lab = Lab::new();
    let set = lab.create_set(&new_set("rs", 2)).await;
    for name in ["pod-1", "pod-2", "pod-3"] {
        lab.create_pod(&matching_pod(name)).await;
    }
    let running = lab.start();
    lab.stable("rs").await;
    let pods = lab.until_pods(2).await;
    assert!(
        pods.iter()
            .all(|pod| controller_of(pod) == set.metadata.uid)
    );
    let all = ["pod-1", "pod-2", "pod-3"].map(matching_pod);
    let is_left = |pod: &Pod| pods.iter().any(|left| name_of(left) == name_of(pod));
    let mut writes: Vec<_> = all.iter().map(patch).collect();
    writes.extend(all.iter().filter(|pod| !is_left(pod)).map(delete));
    assert_eq!(lab.wire.pod_writes(), writes);
    assert_eq!(writes.len(), 4);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_fully_labeled_replicas() {
    let lab = Lab::new();
    let running = lab.start();
    lab.create_set(&new_set("rs", 2)).await;
    lab.stable("rs").await;
    let pods = lab.until_pods(2).await;
    let extra = json!({"metadata": {"labels": {"extraKey": "extraValue"}}});
    lab.change_set("rs", json!({"spec": {"template": extra}}))
        .await;
    lab.change_pod(&pods[0], extra).await;
    lab.until("one is fully labelled", async || {
        let status = lab.sets().get("rs").await.unwrap().status.unwrap();
        (status.replicas == 2 && status.fully_labeled_replicas == Some(1)).then_some(())
    })
    .await;
    assert_eq!(lab.wire.pod_writes(), [CREATE; 2]);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_replica_sets_apps_v1_default_gc_policy() {
    let lab = Lab::new();
    let running = lab.start();
    let mut set = new_set("rs", 2);
    set.metadata.finalizers = Some(vec!["kube.io/dummy-finalizer".into()]);
    lab.create_set(&set).await;
    lab.stable("rs").await;
    lab.until_pods(2).await;

    lab.sets()
        .delete("rs", &DeleteParams::default())
        .await
        .unwrap();
    let deleted = lab.sets().get("rs").await.unwrap();
    assert!(deleted.metadata.deletion_timestamp.is_some());
    // No finalizer is added: pods are deleted in the background.
    let finalizers = deleted.metadata.finalizers.unwrap();
    assert_eq!(finalizers, ["kube.io/dummy-finalizer"]);
    lab.remains(async || lab.all_pods().await.len()).await;

    lab.change_set("rs", json!({"metadata": {"finalizers": null}}))
        .await;
    lab.until_pods(0).await;
    assert!(lab.sets().get_opt("rs").await.unwrap().is_none());
    // The garbage collector deletes them, not the controller.
    assert_eq!(lab.wire.pod_writes(), [CREATE; 2]);
    running.stop().await;
    lab.finish().await;
}

#[tokio::test(start_paused = true)]
async fn test_terminating_replicas() {
    for enabled in [true, false] {
        let lab = Lab::new();
        let mut config = Config::default();
        config.gates.terminating_replicas = enabled;
        let running = lab.start_with(config);
        lab.create_set(&new_set("rs", 3)).await;
        let set = lab.stable("rs").await;
        let reported = |count: i32| enabled.then_some(count);
        assert_eq!(set.status.unwrap().terminating_replicas, reported(0));

        let pods = lab.until_pods(3).await;
        let finalizers = json!({"metadata": {"finalizers": ["example.com/wait"]}});
        lab.change_pod(&pods[0], finalizers).await;
        lab.delete_pod(&pods[0]).await;
        // It is replaced, and told of until it is gone.
        let says = |replicas, terminating| {
            let lab = &lab;
            lab.until("the status is right", async move || {
                let status = lab.sets().get("rs").await.unwrap().status.unwrap();
                let seen = (status.replicas, status.terminating_replicas);
                (seen == (replicas, reported(terminating))).then_some(())
            })
        };
        lab.until_pods(4).await;
        says(3, 1).await;
        lab.change_pod(&pods[0], json!({"metadata": {"finalizers": null}}))
            .await;
        lab.until_pods(3).await;
        says(3, 0).await;
        assert_eq!(lab.wire.pod_writes(), [CREATE; 4]);
        running.stop().await;
        lab.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn test_rs_selector_immutability() {
    let lab = Lab::new();
    let mut set = lab.create_set(&new_set("rs", 0)).await;
    let spec = set.spec.as_mut().unwrap();
    let labels = Some([("changed_name".to_owned(), "changed_test".to_owned())].into());
    spec.selector.match_labels.clone_from(&labels);
    let template = spec.template.as_mut().unwrap();
    template.metadata.as_mut().unwrap().labels = labels;
    let replaced = lab.sets().replace("rs", &PostParams::default(), &set).await;
    let Err(Error::Api(status)) = replaced else {
        panic!("{replaced:?}");
    };
    assert_eq!(status.code, 422);
    for text in ["Invalid value", "field is immutable"] {
        assert!(status.message.contains(text), "{}", status.message);
    }
    lab.finish().await;
}
