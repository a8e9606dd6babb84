//! What a set means after the last one; answers to `config_test.go`.
//!
//! Upstream's test sends increments too; sources only ever deliver full sets, so that here every
//! step is one.

use std::slice::from_ref;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_agent::pod::{CONFIG_MIRROR, CONFIG_SEEN, CONFIG_SOURCE, PodSource};
use node_agent::source::{Merge, Operation, PodUpdate};
use proptest::prelude::*;

use crate::pods::valid_pod;

use Operation::{Add, Delete, Reconcile, Remove, Update};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn arcs(pods: &[Pod]) -> Vec<Arc<Pod>> {
    pods.iter().cloned().map(Arc::new).collect()
}

/// Delivers a set of the file source, and checks what it means.
#[track_caller]
fn check(merge: &mut Merge, pods: &[Pod], expected: &[(Operation, &[Pod])]) {
    let merged = merge.set(at(0), PodSource::File, arcs(pods));
    assert_eq!(shape(&merged.updates), shape(&updates(expected)));
    assert!(merged.duplicates.is_empty());
}

fn updates(expected: &[(Operation, &[Pod])]) -> Vec<PodUpdate> {
    let updates = expected.iter().map(|(operation, pods)| PodUpdate {
        operation: *operation,
        source: PodSource::File,
        pods: arcs(pods),
    });
    updates.collect()
}

/// Updates without what the agent itself adds to pods.
fn shape(updates: &[PodUpdate]) -> Vec<(Operation, PodSource, Vec<Pod>)> {
    let bare = |pod: &Arc<Pod>| {
        let mut pod = Pod::clone(pod);
        if let Some(annotations) = &mut pod.metadata.annotations {
            annotations.retain(|key, _| ![CONFIG_SOURCE, CONFIG_SEEN].contains(&key.as_str()));
            if annotations.is_empty() {
                pod.metadata.annotations = None;
            }
        }
        pod
    };
    let shapes = updates.iter().map(|update| {
        let pods = update.pods.iter().map(bare).collect();
        (update.operation, update.source, pods)
    });
    shapes.collect()
}

fn with_container(mut pod: Pod, name: &str) -> Pod {
    pod.spec.as_mut().unwrap().containers[0].name = name.to_owned();
    pod
}

#[test]
fn new_pod_added() {
    let pods = [valid_pod("foo", "new")];
    check(&mut Merge::new(), &pods, &[(Add, &pods)]);
}

#[test]
fn new_pod_added_invalid_namespace() {
    let pods = [valid_pod("foo", "")];
    check(&mut Merge::new(), &pods, &[(Add, &pods)]);
}

#[test]
fn new_pod_added_default_namespace() {
    let pods = [valid_pod("foo", "default")];
    check(&mut Merge::new(), &pods, &[(Add, &pods)]);
}

#[test]
fn new_pod_added_different_namespaces() {
    let mut merge = Merge::new();
    let [first, second] = [valid_pod("foo", "default"), valid_pod("foo", "new")];
    check(&mut merge, from_ref(&first), &[(Add, from_ref(&first))]);
    check(&mut merge, &[first, second.clone()], &[(Add, &[second])]);
    assert_eq!(merge.pods().count(), 2);
}

#[test]
fn invalid_pod_filtered() {
    let mut merge = Merge::new();
    let first = valid_pod("foo", "new");
    check(&mut merge, from_ref(&first), &[(Add, from_ref(&first))]);

    let mut second = valid_pod("foo", "new");
    second.metadata.uid = Some("another".into());
    let merged = merge.set(
        at(1),
        PodSource::File,
        arcs(&[first.clone(), second.clone()]),
    );
    assert!(merged.updates.is_empty());
    let [duplicate] = merged.duplicates.as_slice() else {
        panic!("one is left out: {:?}", merged.duplicates);
    };
    assert_eq!(
        duplicate.to_string(),
        r#"Error validating pod foo_new(another) from file due to duplicate pod name "foo", ignoring"#
    );

    // One uid has one worker, whatever its pods are called.
    let mut third = valid_pod("bar", "new");
    third.metadata.uid.clone_from(&first.metadata.uid);
    let merged = merge.set(at(2), PodSource::File, arcs(&[first, third]));
    assert!(merged.updates.is_empty());
    assert_eq!(
        merged.duplicates[0].to_string(),
        r#"Error validating pod bar_new(foonew) from file due to duplicate pod uid "foonew", ignoring"#
    );
}

#[test]
fn new_pod_added_updated_removed() {
    let mut merge = Merge::new();
    let pod = valid_pod("foo", "new");
    check(&mut merge, from_ref(&pod), &[(Add, from_ref(&pod))]);
    check(&mut merge, from_ref(&pod), &[]);
    let updated = with_container(pod, "bar");
    check(
        &mut merge,
        from_ref(&updated),
        &[(Update, from_ref(&updated))],
    );
    check(&mut merge, &[], &[(Remove, &[updated])]);
}

#[test]
fn new_pod_added_delete() {
    let mut merge = Merge::new();
    let pod = valid_pod("foo", "new");
    check(&mut merge, from_ref(&pod), &[(Add, from_ref(&pod))]);
    let mut deleted = pod;
    deleted.metadata.deletion_timestamp = Some(Time(at(5)));
    check(
        &mut merge,
        from_ref(&deleted),
        &[(Delete, from_ref(&deleted))],
    );
    // What else changes of a pod that is being deleted is part of its deletion.
    deleted.metadata.deletion_grace_period_seconds = Some(1);
    check(
        &mut merge,
        from_ref(&deleted),
        &[(Delete, from_ref(&deleted))],
    );
}

#[test]
fn new_pod_added_updated_set() {
    let mut merge = Merge::new();
    let [foo, foo2, foo3] = ["foo", "foo2", "foo3"].map(|name| valid_pod(name, "new"));
    let pods = [foo.clone(), foo2.clone(), foo3.clone()];
    check(&mut merge, &pods, &[(Add, &pods)]);
    check(&mut merge, &pods, &[]);
    let foo2 = with_container(foo2, "bar");
    let foo4 = valid_pod("foo4", "new");
    check(
        &mut merge,
        &[foo2.clone(), foo3, foo4.clone()],
        &[(Remove, &[foo]), (Add, &[foo4]), (Update, &[foo2])],
    );
}

#[test]
fn new_pod_added_set_reconciled() {
    let mut merge = Merge::new();
    let mut pods =
        ["changeable-pod-0", "constant-pod-1", "constant-pod-2"].map(|name| valid_pod(name, "new"));
    check(&mut merge, &pods, &[(Add, &pods)]);
    check(&mut merge, &pods, &[]);
    let touched = |message: &str| {
        Some(PodStatus {
            message: Some(message.to_owned()),
            ..PodStatus::default()
        })
    };
    pods[0].status = touched("7");
    check(&mut merge, &pods, &[(Reconcile, &pods[..1])]);
    pods[0].status = touched("8");
    pods[0] = with_container(pods[0].clone(), "9");
    check(&mut merge, &pods, &[(Update, &pods[..1])]);
}

#[test]
fn initial_empty_set() {
    let mut merge = Merge::new();
    check(&mut merge, &[], &[(Add, &[])]);
    check(&mut merge, &[], &[]);
    let pods = [valid_pod("foo", "new")];
    check(&mut merge, &pods, &[(Add, &pods)]);
}

#[test]
fn pod_update_annotations() {
    let mut merge = Merge::new();
    let annotated = |value: Option<&str>| {
        let mut pod = valid_pod("foo2", "new");
        pod.metadata.annotations =
            value.map(|value| [("kubernetes.io/blah".into(), value.into())].into());
        pod
    };
    let (foo1, foo3) = (valid_pod("foo1", "new"), valid_pod("foo3", "new"));
    let set = |pod: Pod| [foo1.clone(), pod, foo3.clone()];
    let pods = set(annotated(Some("blah")));
    check(&mut merge, &pods, &[(Add, &pods)]);
    for value in [Some("superblah"), None, Some("blah")] {
        let pod = annotated(value);
        check(&mut merge, &set(pod.clone()), &[(Update, from_ref(&pod))]);
    }
}

#[test]
fn pod_update_labels() {
    let mut merge = Merge::new();
    let mut pod = valid_pod("foo2", "new");
    pod.metadata.labels = Some([("key".into(), "value".into())].into());
    check(&mut merge, from_ref(&pod), &[(Add, from_ref(&pod))]);
    pod.metadata.labels = Some([("key".into(), "newValue".into())].into());
    check(&mut merge, from_ref(&pod), &[(Update, from_ref(&pod))]);
}

/// Upstream's `TestPodConfigRace` is about pods that a source shares with the merge; here they are
/// immutable, and what the agent adds to one is not seen by its source.
#[test]
fn pod_config_race() {
    let mut merge = Merge::new();
    let delivered = Arc::new(valid_pod("foo", "new"));
    let merged = merge.set(at(3), PodSource::Http, vec![Arc::clone(&delivered)]);
    assert_eq!(delivered.metadata.annotations, None);
    let passed_on = merged.updates[0].pods[0]
        .metadata
        .annotations
        .clone()
        .unwrap();
    assert_eq!(passed_on[CONFIG_SOURCE], "http");
    assert_eq!(passed_on[CONFIG_SEEN], "2023-11-14T22:13:23.000000000Z");
}

#[test]
fn what_the_agent_noted_of_a_pod_outlives_its_updates() {
    let mut merge = Merge::new();
    let mut pod = valid_pod("foo", "new");
    merge.set(at(0), PodSource::Api, arcs(from_ref(&pod)));
    let annotations =
        [CONFIG_SEEN, CONFIG_SOURCE, CONFIG_MIRROR].map(|key| (key.into(), "x".into()));
    pod.metadata.annotations = Some(annotations.into());
    // Another state of the agent's own annotations is no change.
    assert!(
        merge
            .set(at(1), PodSource::Api, arcs(from_ref(&pod)))
            .updates
            .is_empty()
    );
    let merged = merge.set(at(2), PodSource::Api, arcs(&[with_container(pod, "bar")]));
    let annotations = merged.updates[0].pods[0]
        .metadata
        .annotations
        .clone()
        .unwrap();
    assert_eq!(merged.updates[0].operation, Update);
    assert_eq!(annotations[CONFIG_SOURCE], "api");
    assert_eq!(annotations[CONFIG_SEEN], "2023-11-14T22:13:20.000000000Z");
}

#[test]
fn sources_do_not_mix() {
    let mut merge = Merge::new();
    let pod = valid_pod("foo", "new");
    merge.set(at(0), PodSource::File, arcs(from_ref(&pod)));
    // The same pod elsewhere is another's, and an empty set is only its source's.
    let merged = merge.set(at(0), PodSource::Http, arcs(&[pod]));
    assert_eq!(merged.updates[0].operation, Add);
    let merged = merge.set(at(0), PodSource::Api, Vec::new());
    assert_eq!(merged.updates[0].pods, []);
    assert_eq!(merge.pods().count(), 2);
}

proptest! {
    /// Whoever applies the updates has what the source wants, whatever it wanted before.
    #[test]
    fn updates_add_up_to_the_set(sets in prop::collection::vec(prop::collection::btree_map(0..5_u8, (0..3_u8, 0..3_u8, any::<bool>()), 0..5), 1..12)) {
        let mut merge = Merge::new();
        let mut applied = std::collections::BTreeMap::new();
        for set in sets {
            let pods = set.iter().map(|(name, (spec, status, deleted))| {
                let mut pod = with_container(valid_pod(&format!("p{name}"), "ns"), &format!("c{spec}"));
                pod.status.get_or_insert_default().message = Some(status.to_string());
                pod.metadata.deletion_timestamp = deleted.then(|| Time(at(9)));
                pod
            }).collect::<Vec<_>>();
            let updates = merge.set(at(0), PodSource::File, arcs(&pods)).updates;
            let order: Vec<Operation> = updates.iter().map(|update| update.operation).collect();
            prop_assert!(order.is_sorted());
            for (operation, _, changed) in shape(&updates) {
                for pod in changed {
                    let name = pod.metadata.name.clone().unwrap();
                    let old = applied.remove(&name);
                    prop_assert_eq!(old.is_none(), operation == Add);
                    if operation == Remove {
                        prop_assert_eq!(old, Some(pod));
                    } else {
                        prop_assert_ne!(old.as_ref(), Some(&pod));
                        applied.insert(name, pod);
                    }
                }
            }
            prop_assert_eq!(applied.values().cloned().collect::<Vec<_>>(), pods);
        }
    }
}
