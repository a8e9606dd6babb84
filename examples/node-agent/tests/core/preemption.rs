//! Which pods make room for critical ones; answers to `preemption/preemption_test.go`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use node_agent::admission::{NodeState, admit, preempted};
use serde_json::{Value, json};

const CLUSTER_CRITICAL: i32 = 2_000_000_000;
const NODE_CRITICAL: i32 = 2_000_001_000;

/// A pod of a name and a priority.
#[expect(
    clippy::needless_pass_by_value,
    reason = "resources are written in place"
)]
fn pod(name: &str, priority: i32, resources: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"uid": name, "name": name, "namespace": "ns"},
        "spec": {"priority": priority, "containers": [{"name": "c", "resources": resources}]},
    }))
    .unwrap()
}

fn amounts(milli: i64, mebi: i64) -> Value {
    json!({"cpu": format!("{milli}m"), "memory": format!("{mebi}Mi")})
}

fn requesting(name: &str, priority: i32, milli: i64, mebi: i64) -> Pod {
    pod(name, priority, json!({"requests": amounts(milli, mebi)}))
}

fn guaranteed(name: &str, milli: i64, mebi: i64) -> Pod {
    let amounts = amounts(milli, mebi);
    pod(name, 0, json!({"requests": amounts, "limits": amounts}))
}

/// The pods of upstream's tables.
fn known(name: &str) -> Pod {
    match name {
        "bestEffort" => pod(name, 0, json!({})),
        "burstable" => requesting(name, 0, 100, 100),
        "high-request-burstable" => requesting(name, 0, 300, 300),
        "guaranteed" => guaranteed(name, 100, 100),
        "high-request-guaranteed" => guaranteed(name, 300, 300),
        "cluster-critical" => requesting(name, CLUSTER_CRITICAL, 100, 100),
        "node-critical" => requesting(name, NODE_CRITICAL, 100, 100),
        other => panic!("{other} is not known"),
    }
}

/// How much is lacking: thousandths of a processor, mebibytes, pods.
type Lack = (i64, i64, i64);

/// Who comes, who is there, what is lacking, and who makes room.
type Case = (
    &'static str,
    &'static [&'static str],
    Lack,
    Option<&'static [&'static str]>,
);

/// Has a pod come to a node that is full but for so much less than it asks for; the names of those
/// that make room, or why there is none.
fn preempt(
    preemptor: &str,
    others: &[&str],
    (milli, mebi, count): Lack,
) -> Result<Vec<String>, (String, String)> {
    let others: Vec<_> = others.iter().map(|name| Arc::new(known(name))).collect();
    let sum = |resource: &str, unit: i64| {
        let of = |pod: &Arc<Pod>| {
            let resources = pod.spec.as_ref().unwrap().containers[0].resources.clone();
            let requests = resources.unwrap_or_default().requests.unwrap_or_default();
            let asked = requests.get(resource);
            let asked = asked.map(|it| kubewright_quantity::Quantity::parse(&it.0).unwrap());
            asked.map_or(0, |it| it.milli_value() / unit)
        };
        others.iter().map(of).sum::<i64>()
    };
    // What the newcomer asks for, so that it lacks just that much.
    let own = 1000;
    let mut asks = known(preemptor);
    asks.metadata.uid = Some("newcomer".into());
    let resources = json!({"requests": {"cpu": format!("{own}m"), "memory": format!("{own}Mi")}});
    asks.spec.as_mut().unwrap().containers[0].resources =
        Some(serde_json::from_value(resources).unwrap());
    let mebibytes = sum("memory", 1000 * 1024 * 1024) + own - mebi;
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "n1"},
        "status": {"allocatable": {
            "cpu": format!("{}m", sum("cpu", 1) + own - milli),
            "memory": format!("{mebibytes}Mi"),
            "pods": (i64::try_from(others.len()).unwrap() + 1 - count).to_string(),
        }},
    }))
    .unwrap();
    let facts = NodeState {
        node: &node,
        pressures: &[],
    };
    match admit(&asks, &others, facts) {
        Ok(chosen) => {
            let names = chosen.iter().map(|pod| pod.metadata.name.clone().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            Ok(names)
        }
        Err(rejection) => Err((rejection.reason, rejection.message)),
    }
}

#[test]
fn get_pods_to_preempt() {
    const ALL: [&str; 5] = [
        "bestEffort",
        "burstable",
        "high-request-burstable",
        "guaranteed",
        "high-request-guaranteed",
    ];
    let cases: [Case; 13] = [
        ("cluster-critical", &[], (0, 0, 0), Some(&[])),
        ("cluster-critical", &[], (0, 0, 1), None),
        (
            "cluster-critical",
            &["burstable"],
            (100, 100, 1),
            Some(&["burstable"]),
        ),
        ("cluster-critical", &["burstable"], (200, 200, 2), None),
        (
            "cluster-critical",
            &["burstable", "bestEffort"],
            (0, 0, 1),
            Some(&["bestEffort"]),
        ),
        (
            "cluster-critical",
            &["burstable", "guaranteed"],
            (0, 0, 1),
            Some(&["burstable"]),
        ),
        (
            "cluster-critical",
            &["bestEffort", "high-request-burstable", "burstable"],
            (100, 100, 0),
            Some(&["burstable"]),
        ),
        (
            "cluster-critical",
            &["bestEffort", "burstable", "high-request-burstable"],
            (150, 150, 0),
            Some(&["high-request-burstable"]),
        ),
        (
            "cluster-critical",
            &ALL,
            (350, 350, 0),
            Some(&["burstable", "high-request-burstable"]),
        ),
        (
            "cluster-critical",
            &ALL,
            (0, 550, 0),
            Some(&["high-request-burstable", "high-request-guaranteed"]),
        ),
        (
            "node-critical",
            &["cluster-critical"],
            (100, 0, 0),
            Some(&["cluster-critical"]),
        ),
        ("cluster-critical", &["node-critical"], (100, 0, 0), None),
        // Nobody makes room for a pod like any other.
        ("burstable", &["bestEffort"], (0, 0, 1), None),
    ];
    for (preemptor, others, lack, expected) in cases {
        let chosen = preempt(preemptor, others, lack);
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(chosen.ok(), expected, "{preemptor} {others:?} {lack:?}");
    }
}

#[test]
fn evict_pods_to_free_requests() {
    // Critical pods do not make room for those that are as critical, nor does one that has nothing.
    for others in ["cluster-critical", "bestEffort"] {
        let (reason, message) = preempt("cluster-critical", &[others], (0, 1, 0)).unwrap_err();
        assert_eq!(reason, "UnexpectedAdmissionError");
        let expected = "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: memory, q: 1048576), ]";
        assert_eq!(message, expected);
    }
    let told = preempted();
    assert_eq!(told.reason, "Preempting");
    assert_eq!(told.message, "Preempted in order to admit critical pod");
    assert_eq!(
        told.disruption.as_deref(),
        Some("Pod was preempted by Kubelet to accommodate a critical pod.")
    );
}

/// What else speaks against a critical pod speaks louder than that there is no room.
#[test]
fn a_critical_pod_that_cannot_run_here_ends_nobody() {
    let mut critical = known("cluster-critical");
    critical.spec.as_mut().unwrap().node_selector = Some([("a".into(), "b".into())].into());
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "n1"},
        "status": {"allocatable": {"cpu": "100m", "memory": "100Mi", "pods": "5"}},
    }))
    .unwrap();
    let facts = NodeState {
        node: &node,
        pressures: &[],
    };
    let others = [Arc::new(known("burstable"))];
    let rejection = admit(&critical, &others, facts).unwrap_err();
    assert_eq!(rejection.reason, "NodeAffinity");
}
