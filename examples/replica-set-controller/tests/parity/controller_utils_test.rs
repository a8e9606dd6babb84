//! `pkg/controller/controller_utils_test.go`, as far as it concerns ReplicaSets.

use std::time::Duration;

use jiff::{Span, Timestamp};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference, Time};
use kube_client::Client;
use kubewright_cache::{Object, ObjectKey};
use kubewright_controller::{EventRecorder, RecorderConfig};
use replica_set_controller::{
    Answer, Caches, Candidate, Claimant, Cluster, DeletionOrder, FeatureGates, LiveCluster, NewPod,
    Orphans, OwnerPatch, POD_DELETION_COST, PodView, ReplicaSetView, Roster, Selector,
    earliest_availability_check, min_next_availability_check, next_availability_check,
};
use serde_json::json;

use crate::api::{Api, Asked, not_found};
use crate::fixtures::{
    Owned, controller_ref, labels, names, new_pod, new_pods, new_replica_set, new_uid, now, object,
    ready_condition, restarted, seconds_ago, views,
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

/// A pod as deletion ranks it.
#[derive(Clone, Default)]
struct Ranked {
    name: &'static str,
    node: Option<&'static str>,
    phase: &'static str,
    /// Ready, and since when.
    ready: Option<Option<Timestamp>>,
    restarts: i32,
    sidecar_restarts: i32,
    created: Option<Timestamp>,
    cost: Option<&'static str>,
}

impl Ranked {
    fn new(name: &'static str, node: Option<&'static str>, phase: &'static str) -> Self {
        Self {
            name,
            node,
            phase,
            ..Self::default()
        }
    }

    fn running(name: &'static str, since: Option<Timestamp>) -> Self {
        Self {
            ready: Some(since),
            ..Self::new(name, Some("node"), "Running")
        }
    }

    fn view(&self) -> PodView {
        let mut pod = new_pod(self.name, &set(), self.phase, Owned::Yes);
        // Ties that uids would break are to be seen as ties.
        pod.metadata.uid = None;
        pod.metadata.creation_timestamp = self.created.map(Time);
        let cost = self.cost.map(|cost| labels([(POD_DELETION_COST, cost)]));
        pod.metadata.annotations = cost;
        pod.spec = Some(PodSpec {
            node_name: self.node.map(Into::into),
            init_containers: Some(vec![Container {
                name: "sidecar".into(),
                restart_policy: Some("Always".into()),
                ..Container::default()
            }]),
            ..PodSpec::default()
        });
        pod.status = Some(PodStatus {
            phase: Some(self.phase.into()),
            conditions: self.ready.map(|since| vec![ready_condition("True", since)]),
            container_statuses: Some(vec![restarted("main", self.restarts), restarted("b", 0)]),
            init_container_statuses: Some(vec![
                restarted("sidecar", self.sidecar_restarts),
                restarted("setup", 1000),
            ]),
            ..PodStatus::default()
        });
        PodView::new(object(&pod))
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - Span::new().hours(hours)
}

fn month_ago() -> Timestamp {
    hours_ago(28 * 24)
}

#[test]
fn test_sorting_active_pods() {
    let order: Vec<_> = [
        Ranked::new("unscheduled", None, "Pending"),
        Ranked::new("scheduledButPending", Some("bar"), "Pending"),
        Ranked::new("unknownPhase", Some("foo"), "Unknown"),
        Ranked::new("runningButNotReady", Some("foo"), "Running"),
        Ranked {
            restarts: 3,
            ..Ranked::running("runningNoLastTransitionTime", None)
        },
        Ranked {
            restarts: 3,
            ..Ranked::running("runningWithLastTransitionTime", Some(now()))
        },
        Ranked {
            restarts: 3,
            ..Ranked::running("runningLongerTime", Some(month_ago()))
        },
        Ranked {
            restarts: 2,
            created: Some(now()),
            ..Ranked::running("lowerContainerRestartCount", Some(month_ago()))
        },
        Ranked {
            restarts: 2,
            created: Some(month_ago()),
            ..Ranked::running("oldest", Some(month_ago()))
        },
    ]
    .iter()
    .map(Ranked::view)
    .collect();

    let mut random = fastrand::Rng::with_seed(7);
    for logarithmic in [true, false] {
        let mut gates = FeatureGates::default();
        gates.logarithmic_scale_down = logarithmic;
        for _ in 0..20 {
            let mut shuffled = order.clone();
            random.shuffle(&mut shuffled);
            let sorted = DeletionOrder::new(&gates, now());
            let sorted = sorted.first(&shuffled, &[], order.len() - 1);
            assert_eq!(names(sorted), names(&order[..order.len() - 1]));
        }
    }
}

#[test]
fn test_sorting_active_pods_with_ranks() {
    let unscheduled = Ranked::new("unscheduled", None, "Pending");
    let pending = Ranked::new("pending", Some("node"), "Pending");
    let unknown = Ranked::new("unknown-phase", Some("node"), "Unknown");
    let not_ready = Ranked::new("not-ready", Some("node"), "Running");
    let no_time = Ranked::running("ready-no-last-transition-time", None);
    let ready = |name, since, created| Ranked {
        created: Some(created),
        ..Ranked::running(name, Some(since))
    };
    let ready_now = ready("ready-now", now(), now());
    let ready_then = ready("ready-then", month_ago(), month_ago());
    let restarts = Ranked {
        restarts: 9001,
        ..ready("ready-high-restarts", now(), now())
    };
    let side_restarts = Ranked {
        sidecar_restarts: 9001,
        ..restarts.clone()
    };
    let created_then = ready("ready-now-created-then", now(), month_ago());
    let cost = |name, cost| Ranked {
        cost: Some(cost),
        ..ready(name, now(), month_ago())
    };
    let (low_cost, high_cost) = (cost("low", "10"), cost("high", "100"));
    let (negative, malformed) = (cost("negative", "-1"), cost("malformed", "+5"));
    let unscheduled_for = |hours| Ranked {
        created: Some(hours_ago(hours)),
        ..unscheduled.clone()
    };
    let on_no_node = |name, hours| Ranked {
        node: None,
        ..ready(name, hours_ago(hours), month_ago())
    };
    let ready_2_hours = on_no_node("ready-2-hours", 2);
    let ready_5_hours = on_no_node("ready-5-hours", 5);
    let ready_8_hours = on_no_node("ready-8-hours", 8);

    let defaults = FeatureGates::default();
    let mut without_cost = FeatureGates::default();
    without_cost.pod_deletion_cost = false;
    let mut linear = FeatureGates::default();
    linear.logarithmic_scale_down = false;
    let compare = |gates: &FeatureGates, one: (&Ranked, usize), other: (&Ranked, usize)| {
        let (a, b) = (one.0.view(), other.0.view());
        let candidate = |pod, rank| Candidate { pod, rank };
        DeletionOrder::new(gates, now()).compare(candidate(&a, one.1), candidate(&b, other.1))
    };

    for (one, other) in [
        (&unscheduled, &unscheduled),
        (&pending, &pending),
        (&unknown, &unknown),
        (&not_ready, &not_ready),
        (&created_then, &created_then),
        (&ready_now, &ready_now),
        (&ready_then, &ready_then),
        (&restarts, &restarts),
        (&unscheduled_for(5), &unscheduled_for(8)),
        (&ready_5_hours, &ready_8_hours),
        (&malformed, &created_then),
    ] {
        let order = compare(&defaults, (one, 1), (other, 1));
        assert!(order.is_eq(), "{} and {}", one.name, other.name);
    }

    for (gates, lesser, greater) in [
        (&defaults, (&unscheduled, 1), (&pending, 2)),
        (&defaults, (&unscheduled, 2), (&pending, 1)),
        (&defaults, (&pending, 1), (&unknown, 2)),
        (&defaults, (&unknown, 1), (&not_ready, 2)),
        (&defaults, (&not_ready, 1), (&no_time, 1)),
        (&defaults, (&no_time, 1), (&ready_now, 1)),
        (&defaults, (&ready_now, 2), (&no_time, 1)),
        (&defaults, (&ready_now, 1), (&ready_then, 1)),
        (&defaults, (&ready_now, 2), (&ready_then, 1)),
        (&defaults, (&restarts, 1), (&ready_now, 1)),
        (&defaults, (&side_restarts, 1), (&restarts, 1)),
        (&defaults, (&ready_now, 2), (&restarts, 1)),
        (&defaults, (&ready_now, 1), (&created_then, 1)),
        (&defaults, (&created_then, 2), (&ready_now, 1)),
        (&defaults, (&low_cost, 2), (&high_cost, 1)),
        (&defaults, (&low_cost, 1), (&high_cost, 2)),
        (&defaults, (&negative, 1), (&malformed, 2)),
        (&without_cost, (&high_cost, 2), (&low_cost, 1)),
        (&defaults, (&ready_2_hours, 1), (&ready_5_hours, 1)),
        (&linear, (&ready_5_hours, 1), (&ready_8_hours, 1)),
        (&linear, (&unscheduled_for(5), 1), (&unscheduled_for(8), 1)),
    ] {
        let case = format!(
            "{lesser} before {greater}",
            lesser = lesser.0.name,
            greater = greater.0.name
        );
        assert!(compare(gates, lesser, greater).is_lt(), "{case}");
        assert!(
            compare(gates, greater, lesser).is_gt(),
            "{case}, the other way round"
        );
    }
}

/// A pod that is ready, or not, since some seconds.
fn pod_with_readiness(name: &str, ready: &str, seconds: i64) -> PodView {
    let mut pod = new_pod(name, &set(), "Running", Owned::Yes);
    let condition = ready_condition(ready, Some(seconds_ago(seconds)));
    pod.status.as_mut().unwrap().conditions = Some(vec![condition]);
    PodView::new(object(&pod))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn test_next_pod_availability_check() {
    let ready = |ago| pod_with_readiness("pod", "True", ago);
    let without_time = PodView::new(object(&new_pod("pod", &set(), "Running", Owned::Yes)));
    for (case, pod, min_ready, expected) in [
        ("not ready", pod_with_readiness("pod", "False", 0), 0, None),
        ("no time asked for", ready(0), 0, None),
        ("no transition time", without_time, 1, None),
        ("ready right now", ready(0), 1, Some(seconds(1))),
        ("ready for 20 s", ready(20), 30, Some(seconds(10))),
        ("available", ready(51), 50, None),
        ("available right now", ready(50), 50, None),
    ] {
        let next = next_availability_check(&pod, seconds(min_ready), now());
        assert_eq!(next, expected, "{case}");
    }
}

/// Pods of which some are ready; `None` is one that is not.
fn pods_ready_for<const N: usize>(ready: [Option<i64>; N]) -> Vec<PodView> {
    let pod = |(index, ready): (usize, &Option<i64>)| {
        let name = format!("pod{}", index + 1);
        match ready {
            Some(ago) => pod_with_readiness(&name, "True", *ago),
            None => pod_with_readiness(&name, "False", 0),
        }
    };
    ready.iter().enumerate().map(pod).collect()
}

#[test]
fn test_find_min_next_pod_availability_simple_check() {
    for (case, pods, min_ready, expected) in [
        ("no pods", vec![], 0, None),
        ("none ready", pods_ready_for([None, None]), 0, None),
        (
            "no time asked for",
            pods_ready_for([Some(0), Some(0)]),
            0,
            None,
        ),
        (
            "the one ready for longest",
            pods_ready_for([None, Some(2), Some(0), Some(4), None]),
            10,
            Some((seconds(6), "pod4")),
        ),
        (
            "all available",
            pods_ready_for([None, Some(15), Some(11), Some(10), None]),
            10,
            None,
        ),
    ] {
        let min_ready = seconds(min_ready);
        let earliest = earliest_availability_check(&pods, min_ready, now());
        let found = earliest.map(|(pod, remaining)| (remaining, pod.meta().name()));
        assert_eq!(found, expected, "{case}");
        let next = min_next_availability_check(&pods, min_ready, now(), now());
        assert_eq!(next, expected.map(|(remaining, _)| remaining), "{case}");
    }
}

#[test]
fn test_find_min_next_pod_availability() {
    let pods = pods_ready_for([None, Some(2), Some(0), Some(4), None]);
    for (delay, expected) in [(2, seconds(4)), (7, Duration::ZERO)] {
        let later = now() + Span::new().seconds(delay);
        let next = min_next_availability_check(&pods, seconds(10), now(), later);
        assert_eq!(
            next,
            Some(expected),
            "{delay} s after the status was computed"
        );
    }
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
