//! Scaling up and down: which calls are made, what is expected of them, and which events tell.

use std::slice;

use k8s_openapi::api::apps::v1::ReplicaSetStatus;
use kubewright_controller::Pending;
use replica_set_controller::{Config, SyncError, get_condition};
use serde_json::json;

use crate::fixtures::{
    Owned, controller_ref, foo_bar, labels, named, new_pod, new_pods, new_replica_set,
    ready_condition, settled_status,
};
use crate::recorded::{Call, Failing, Failure};
use crate::rig::{NONE, Rig, creates, deletes};

#[tokio::test(start_paused = true)]
async fn a_pod_is_made_of_the_template_as_it_stands() {
    let mut rig = Rig::new();
    let mut set = foo_bar(1);
    let template = set.spec.as_mut().unwrap().template.as_mut().unwrap();
    let metadata = template.metadata.as_mut().unwrap();
    metadata.annotations = Some(labels([("note", "kept")]));
    metadata.finalizers = Some(vec!["example.com/kept".into()]);
    metadata.name = Some("not-kept".into());
    let spec = json!(template.spec);
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();

    let [Call::Create(namespace, pod), Call::UpdateStatus(..)] = &rig.cluster.calls()[..] else {
        panic!("one pod is created, then the status is written");
    };
    assert_eq!(namespace, "default");
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "foobar-",
            "labels": {"name": "foo", "type": "production"},
            "annotations": {"note": "kept"},
            "finalizers": ["example.com/kept"],
            "ownerReferences": [controller_ref(&set)],
        },
        "spec": spec,
    });
    assert_eq!(*pod, expected);
    assert_eq!(
        rig.cluster.events(),
        ["Normal SuccessfulCreate Created pod: foobar-1"]
    );
    assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_made_of_a_template_without_labels() {
    let mut rig = Rig::new();
    let mut set = foo_bar(3);
    let template = set.spec.as_mut().unwrap().template.as_mut().unwrap();
    template.metadata.as_mut().unwrap().labels = None;
    let key = rig.have_set(&set);
    let error = rig.sync(&key).await.unwrap_err();
    assert_eq!(error.to_string(), "unable to create pods, no labels");
    assert_eq!(rig.pod_calls(), NONE);
    let status = &rig.statuses()[0];
    let failure = get_condition(status, "ReplicaFailure").unwrap();
    assert_eq!(failure.reason.as_deref(), Some("FailedCreate"));
    assert!(rig.controller.expectations().satisfied(&key));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_goes_away_keeps_its_sets_quiet() {
    let mut rig = Rig::new();
    let key = rig.have_set(&foo_bar(3));
    rig.cluster
        .fail(Failing::Creates(Failure::NamespaceTerminating));
    rig.sync(&key).await.unwrap();
    // Refused, counted as if they were created, and therefore not tried again.
    assert_eq!(rig.pod_calls(), creates(3));
    assert_eq!(rig.cluster.events(), [""; 0]);
    assert_eq!(rig.pending(&key), Some(Pending::new(3, 0)));
    rig.cluster.clear();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);

    tokio::time::advance(Config::default().expectations_timeout).await;
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(3), "until that has been too long");
}

#[tokio::test(start_paused = true)]
async fn the_first_to_go_are_expected_to_and_told_of() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    let mut pods = new_pods(3, &set, "Running", "pod");
    pods[1].status.as_mut().unwrap().conditions = Some(vec![ready_condition("False", None)]);
    for pod in &mut pods[1..] {
        pod.spec.get_or_insert_default().node_name = None;
    }
    pods[0].spec.get_or_insert_default().node_name = Some("node".into());
    rig.have_pods(&pods);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.deletes(), ["default/pod1", "default/pod2"]);
    let leaving = rig.controller.expectations().leaving(&key);
    let leaving: Vec<_> = leaving.iter().map(ToString::to_string).collect();
    assert_eq!(leaving, ["default/pod1", "default/pod2"]);
    assert_eq!(
        rig.cluster.events(),
        [
            "Normal SuccessfulDelete Deleted pod: pod1",
            "Normal SuccessfulDelete Deleted pod: pod2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_that_shares_its_node_with_those_of_a_sibling() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let sibling = named(new_replica_set(1, &labels([("foo", "sibling")])), "sibling");
    let key = rig.have_set(&set);
    rig.have_set(&sibling);
    let on = |node: &str, name: &str, set| {
        let mut pod = new_pod(name, set, "Running", Owned::Yes);
        pod.spec.get_or_insert_default().node_name = Some(node.into());
        pod
    };
    rig.have_pods(&[
        on("node-1", "alone", &set),
        on("node-2", "crowded", &set),
        on("node-2", "other", &sibling),
    ]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.deletes(), ["default/crowded"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_burst_is_done_at_once() {
    let mut rig = Rig::new();
    let key = rig.have_set(&foo_bar(600));
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(500));
    assert_eq!(rig.pending(&key), Some(Pending::new(500, 0)));

    let mut rig = Rig::new();
    let set = foo_bar(0);
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(600, &set, "Running", "pod"));
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), deletes(500));
    assert_eq!(rig.pending(&key), Some(Pending::new(0, 500)));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_deleted_is_not_expected_to_go() {
    let mut rig = Rig::new();
    let set = foo_bar(0);
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(3, &set, "Running", "pod"));
    rig.cluster
        .fail(Failing::DeleteOf("pod1", Failure::Internal));
    let error = rig.sync(&key).await.unwrap_err();
    assert!(matches!(error, SyncError::Delete(_)), "{error}");
    assert_eq!(rig.pod_calls(), deletes(3));
    assert_eq!(rig.pending(&key), Some(Pending::new(0, 2)));
    let events = rig.cluster.events();
    assert_eq!(
        events
            .iter()
            .filter(|it| it.contains("SuccessfulDelete"))
            .count(),
        2
    );
    assert!(events.contains(&"Warning FailedDelete Error deleting: fake Error".into()));
    let failure = get_condition(&rig.statuses()[0], "ReplicaFailure").cloned();
    assert_eq!(failure.unwrap().reason.as_deref(), Some("FailedDelete"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_already_is_no_failure() {
    let mut rig = Rig::new();
    let set = foo_bar(0);
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(2, &set, "Running", "pod"));
    rig.cluster.fail(Failing::Deletes(Failure::NotFound));
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), deletes(2));
    assert_eq!(rig.cluster.events(), [""; 0]);
    assert_eq!(rig.pending(&key), Some(Pending::new(0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_until_it_is_over_also_by_a_sync_that_may_not_scale() {
    let mut rig = Rig::new();
    let mut set = foo_bar(1);
    let key = rig.have_set(&set);
    rig.cluster.fail(Failing::Creates(Failure::Internal));
    rig.sync(&key).await.unwrap_err();
    set.status = Some(rig.statuses()[0].clone());
    rig.have_set(&set);

    // It fails in another way: the first message stays, so there is nothing to write.
    rig.cluster.clear();
    rig.cluster.fail(Failing::Creates(Failure::Conflict));
    rig.sync(&key).await.unwrap_err();
    assert_eq!(rig.statuses(), []);

    rig.cluster.clear();
    rig.controller.expectations().expect_creations(&key, 1);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
    assert_eq!(rig.statuses()[0].conditions, None);
}

#[tokio::test(start_paused = true)]
async fn the_generation_acted_on_is_told_even_if_nothing_else_changed() {
    let mut rig = Rig::new();
    let mut set = foo_bar(0);
    set.metadata.generation = Some(7);
    set.status = Some(ReplicaSetStatus {
        observed_generation: Some(6),
        ..settled_status(0)
    });
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();
    let told = ReplicaSetStatus {
        observed_generation: Some(7),
        ..settled_status(0)
    };
    assert_eq!(rig.statuses(), slice::from_ref(&told));
    set.status = Some(told);
    rig.have_set(&set);
    rig.cluster.clear();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.cluster.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn terminating_pods_are_told_of_unless_that_is_off() {
    for (gate, expected) in [(true, Some(1)), (false, None)] {
        let mut config = Config::default();
        config.gates.terminating_replicas = gate;
        let mut rig = Rig::with(config);
        let set = foo_bar(0);
        let key = rig.have_set(&set);
        let mut leaving = new_pod("leaving", &set, "Running", Owned::Yes);
        leaving.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::fixtures::now()),
        );
        // Nobody's, hence not this set's either: it is too late to adopt it.
        let mut orphan = leaving.clone();
        orphan.metadata.name = Some("orphan".into());
        orphan.metadata.owner_references = None;
        rig.have_pods([&leaving, &orphan]);
        rig.sync(&key).await.unwrap();
        let terminating = rig
            .statuses()
            .first()
            .and_then(|status| status.terminating_replicas);
        assert_eq!(terminating, expected);
        assert_eq!(rig.pod_calls(), NONE);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_selector_is_not_tried_again() {
    let mut rig = Rig::new();
    let mut set = foo_bar(3);
    let selector = &mut set.spec.as_mut().unwrap().selector;
    selector.match_expressions = Some(vec![Default::default()]);
    let key = rig.have_set(&set);
    assert_eq!(rig.sync(&key).await.unwrap(), None);
    assert_eq!(rig.cluster.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn how_old_deleted_pods_were_is_counted() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    let mut pods = new_pods(2, &set, "Running", "pod");
    for (pod, age) in pods.iter_mut().zip([10, 30]) {
        let created = crate::fixtures::seconds_ago(age);
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created);
        pod.metadata.creation_timestamp = Some(time.clone());
        let since = (age == 10).then_some(time.0);
        pod.status.as_mut().unwrap().conditions = Some(vec![ready_condition("True", since)]);
    }
    rig.have_pods(&pods);
    rig.sync(&key).await.unwrap();
    // The one that does not say since when it is ready goes first; it is three times as old.
    assert_eq!(rig.deletes(), ["default/pod1"]);
    assert_eq!(rig.controller.metrics().deletion_age_ratios(), (1, 3.0));
}

#[tokio::test(start_paused = true)]
async fn pods_that_cannot_be_read_count_and_go_first() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    rig.have_pods(&new_pods(1, &set, "Running", "fine"));
    let mut odd = json!(new_pod("odd", &set, "Running", Owned::Yes));
    odd["status"]["conditions"] = json!("none");
    rig.stores.put_raw_pod(&odd);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.deletes(), ["default/odd"]);
    assert_eq!(rig.statuses()[0].replicas, 2);
}
