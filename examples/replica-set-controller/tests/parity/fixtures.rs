//! Sets and pods to test with.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{Span, Timestamp};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ObjectMeta, OwnerReference, Time,
};
use kubewright_cache::Object;
use replica_set_controller::PodView;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Labels, as objects have them.
pub(crate) type Labels = std::collections::BTreeMap<String, String>;

/// Labels from pairs.
pub(crate) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.map(|(key, value)| (key.into(), value.into())).into()
}

/// A uid that nothing else in this process has.
pub(crate) fn new_uid() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-0000{next:08x}")
}

/// The moment at which most tests play.
pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A moment some seconds before [`now`].
pub(crate) fn seconds_ago(seconds: i64) -> Timestamp {
    now() - Span::new().seconds(seconds)
}

/// A set in `default` that selects `selector`; its template is labelled more generously.
pub(crate) fn new_replica_set(replicas: i32, selector: &Labels) -> ReplicaSet {
    ReplicaSet {
        metadata: ObjectMeta {
            uid: Some(new_uid()),
            name: Some("foobar".into()),
            namespace: Some("default".into()),
            resource_version: Some("18".into()),
            owner_references: Some(vec![OwnerReference {
                uid: "123".into(),
                controller: Some(true),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            selector: LabelSelector {
                match_labels: Some(selector.clone()),
                ..LabelSelector::default()
            },
            template: Some(PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels([("name", "foo"), ("type", "production")])),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![Container {
                        name: "main".into(),
                        image: Some("foo/bar".into()),
                        ..Container::default()
                    }],
                    ..PodSpec::default()
                }),
            }),
            ..ReplicaSetSpec::default()
        }),
        status: None,
    }
}

/// Who a new pod belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owned {
    /// The set it was made for.
    Yes,
    /// Nobody.
    No,
}

/// A pod with the labels `set` selects; ready, if it runs.
pub(crate) fn new_pod(name: &str, set: &ReplicaSet, phase: &str, owned: Owned) -> Pod {
    let conditions = (phase == "Running").then(|| vec![ready_condition("True", None)]);
    let spec = set.spec.as_ref().unwrap();
    Pod {
        metadata: ObjectMeta {
            uid: Some(new_uid()),
            name: Some(name.into()),
            namespace: set.metadata.namespace.clone(),
            labels: spec.selector.match_labels.clone(),
            owner_references: match owned {
                Owned::Yes => Some(vec![controller_ref(set)]),
                Owned::No => None,
            },
            ..ObjectMeta::default()
        },
        status: Some(PodStatus {
            phase: Some(phase.into()),
            conditions,
            ..PodStatus::default()
        }),
        ..Pod::default()
    }
}

/// `count` pods of `set` in a phase, not ready, named `name0` and so on.
pub(crate) fn new_pods(count: usize, set: &ReplicaSet, phase: &str, name: &str) -> Vec<Pod> {
    let pod = |index| new_pod(&format!("{name}{index}"), set, phase, Owned::Yes);
    (0..count).map(pod).collect()
}

/// A `Ready` condition.
pub(crate) fn ready_condition(status: &str, since: Option<Timestamp>) -> PodCondition {
    PodCondition {
        type_: "Ready".into(),
        status: status.into(),
        last_transition_time: since.map(Time),
        ..PodCondition::default()
    }
}

/// A status of one container that was restarted so often.
pub(crate) fn restarted(name: &str, restarts: i32) -> ContainerStatus {
    ContainerStatus {
        name: name.into(),
        restart_count: restarts,
        ..ContainerStatus::default()
    }
}

/// The reference that makes `set` the controller of something.
pub(crate) fn controller_ref(set: &ReplicaSet) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        name: set.metadata.name.clone().unwrap(),
        uid: set.metadata.uid.clone().unwrap(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The object as the cache holds it.
pub(crate) fn object<K: Serialize + DeserializeOwned + 'static>(object: &K) -> Object<K> {
    Object::from_typed(object).unwrap()
}

/// Pods as the controller looks at them.
pub(crate) fn views(pods: &[Pod]) -> Vec<PodView> {
    pods.iter().map(|pod| PodView::new(object(pod))).collect()
}

/// The names of pods.
pub(crate) fn names<'a>(pods: impl IntoIterator<Item = &'a PodView>) -> Vec<&'a str> {
    pods.into_iter().map(|pod| pod.meta().name()).collect()
}

/// A set that selects `foo: bar`.
pub(crate) fn foo_bar(replicas: i32) -> ReplicaSet {
    new_replica_set(replicas, &labels([("foo", "bar")]))
}

/// The status of a set whose pods all run, are ready and are not fully labelled.
pub(crate) fn settled_status(pods: i32) -> ReplicaSetStatus {
    let count = Some(pods).filter(|count| *count != 0);
    ReplicaSetStatus {
        replicas: pods,
        ready_replicas: count,
        available_replicas: count,
        terminating_replicas: Some(0),
        ..ReplicaSetStatus::default()
    }
}

/// The same under another name.
pub(crate) fn named(mut set: ReplicaSet, name: &str) -> ReplicaSet {
    set.metadata.name = Some(name.into());
    set
}

/// The same, controlled by something of this uid.
pub(crate) fn controlled_by(mut set: ReplicaSet, uid: &str) -> ReplicaSet {
    set.metadata.owner_references.as_mut().unwrap()[0].uid = uid.into();
    set
}

/// The same, asked to go away.
pub(crate) fn being_deleted(mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.deletion_timestamp = Some(Time(now()));
    set
}
