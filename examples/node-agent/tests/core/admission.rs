//! Which pods may run on the node.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use node_agent::admission::{NodeState, Rejection, admit};
use node_agent::node::Pressure;
use serde_json::{Value, json};

/// A pod with this spec; a container is added.
#[expect(clippy::needless_pass_by_value, reason = "tables write specs in place")]
fn pod(spec: Value) -> Pod {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"uid": "1", "name": "web", "namespace": "ns"},
        "spec": spec,
    }))
    .unwrap();
    let spec = pod.spec.get_or_insert_default();
    if spec.containers.is_empty() {
        spec.containers.push(Default::default());
    }
    pod
}

fn requesting(requests: &Value) -> Pod {
    pod(json!({"containers": [{"name": "a", "resources": {"requests": requests}}]}))
}

fn with_ports(host_network: bool, ports: &Value) -> Pod {
    pod(json!({"hostNetwork": host_network, "containers": [{"name": "a", "ports": ports}]}))
}

fn node() -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "n1", "labels": {"zone": "a", "disks": "3", "kubernetes.io/os": "linux"}},
        "status": {"allocatable": {
            "cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3", "example.com/gpu": "1",
        }},
    }))
    .unwrap()
}

fn decide(pod: &Pod, others: &[Pod], pressures: &[Pressure]) -> Result<(), Rejection> {
    let others: Vec<_> = others.iter().cloned().map(Arc::new).collect();
    let node = &node();
    let preempted = admit(pod, &others, NodeState { node, pressures })?;
    assert!(preempted.is_empty(), "no pod is critical");
    Ok(())
}

/// The reason for which a pod is not taken.
fn reason(pod: &Pod, others: &[Pod]) -> Option<String> {
    decide(pod, others, &[]).err().map(|it| it.reason)
}

#[test]
fn general_predicates() {
    let message = |pod, others: &[Pod]| decide(&pod, others, &[]).unwrap_err();
    let fits = |requests| {
        reason(
            &requesting(&requests),
            &[requesting(&json!({"cpu": "500m"}))],
        )
    };
    assert_eq!(fits(json!({"cpu": "1500m", "memory": "1Gi"})), None);
    assert_eq!(fits(json!({"cpu": "1501m"})).as_deref(), Some("OutOfcpu"));

    let cpu = message(
        requesting(&json!({"cpu": "1600m", "memory": "2Gi"})),
        &[requesting(&json!({"cpu": "500m"}))],
    );
    assert_eq!(
        cpu.to_string(),
        "Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000"
    );
    assert_eq!(
        cpu.status_message(),
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1600, used: 500, capacity: 2000"
    );
    let memory = message(
        requesting(&json!({"memory": "800Mi"})),
        &[requesting(&json!({"memory": "512Mi"}))],
    );
    assert_eq!(memory.reason, "OutOfmemory");
    assert_eq!(
        memory.message,
        "Node didn't have enough resource: memory, requested: 838860800, used: 536870912, capacity: 1073741824"
    );
    let storage = message(requesting(&json!({"ephemeral-storage": "11Gi"})), &[]);
    assert_eq!(storage.reason, "OutOfephemeral-storage");
    let pods = message(
        pod(json!({})),
        &[pod(json!({})), pod(json!({})), pod(json!({}))],
    );
    assert_eq!(pods.reason, "OutOfpods");
    assert_eq!(
        pods.message,
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    );

    // Who asks for nothing has room on a full node.
    let full = [requesting(&json!({"cpu": "2", "memory": "1Gi"}))];
    assert_eq!(reason(&pod(json!({})), &full), None);
}

#[test]
fn remove_missing_extended_resources() {
    let gpu = |count: &str| requesting(&json!({"example.com/gpu": count}));
    assert_eq!(reason(&gpu("1"), &[]), None);
    assert_eq!(
        reason(&gpu("1"), &[gpu("1")]).as_deref(),
        Some("OutOfexample.com/gpu")
    );
    let unknown = requesting(&json!({"example.com/fpga": "1"}));
    assert_eq!(
        reason(&unknown, &[]),
        None,
        "the node has not said that it has any"
    );
    let pages = requesting(&json!({"hugepages-2Mi": "2Mi"}));
    assert_eq!(reason(&pages, &[]).as_deref(), Some("OutOfhugepages-2Mi"));
}

#[test]
fn node_selectors_and_affinity() {
    let term = |expressions: Value| {
        let selector = json!({"nodeSelectorTerms": expressions});
        pod(json!({"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": selector}}}))
    };
    let one = |key: &str, operator: &str, values: &[&str]| {
        let expression = json!({"key": key, "operator": operator, "values": values});
        term(json!([{"matchExpressions": [expression]}]))
    };
    let by_name = |name: &str| {
        let field = json!({"key": "metadata.name", "operator": "In", "values": [name]});
        term(json!([{"matchFields": [field]}]))
    };
    let cases = [
        (pod(json!({"nodeSelector": {"zone": "a"}})), true),
        (pod(json!({"nodeSelector": {"zone": "b"}})), false),
        (
            pod(json!({"nodeSelector": {"zone": "a", "other": "x"}})),
            false,
        ),
        (one("zone", "In", &["b", "a"]), true),
        (one("zone", "In", &["b"]), false),
        (one("zone", "NotIn", &["b"]), true),
        (one("zone", "NotIn", &["a"]), false),
        (one("other", "NotIn", &["a"]), true),
        (one("zone", "Exists", &[]), true),
        (one("other", "Exists", &[]), false),
        (one("other", "DoesNotExist", &[]), true),
        (one("zone", "DoesNotExist", &[]), false),
        (one("disks", "Gt", &["2"]), true),
        (one("disks", "Gt", &["3"]), false),
        (one("disks", "Lt", &["4"]), true),
        (one("zone", "Lt", &["4"]), false),
        (one("other", "Lt", &["4"]), false),
        (one("zone", "Near", &["a"]), false),
        (by_name("n1"), true),
        (by_name("n2"), false),
        (term(json!([])), false),
        (term(json!([{}])), false),
        // One term is enough, all of its parts are needed.
        (
            term(json!([
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]},
                {"matchExpressions": [{"key": "zone", "operator": "Exists"}]},
            ])),
            true,
        ),
        (
            term(json!([{"matchExpressions": [
                {"key": "zone", "operator": "Exists"},
                {"key": "zone", "operator": "In", "values": ["b"]},
            ]}])),
            false,
        ),
    ];
    for (pod, fits) in cases {
        let expected = (!fits).then_some("NodeAffinity");
        assert_eq!(reason(&pod, &[]).as_deref(), expected, "{:?}", pod.spec);
    }
    let message = decide(&pod(json!({"nodeSelector": {"zone": "b"}})), &[], &[]);
    assert_eq!(
        message.unwrap_err().message,
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    );
    assert_eq!(reason(&pod(json!({"nodeName": "n1"})), &[]), None);
    let elsewhere = pod(json!({"nodeName": "n2"}));
    assert_eq!(reason(&elsewhere, &[]).as_deref(), Some("NodeName"));
}

#[test]
fn host_ports_conflict() {
    let port = |ip: &str, protocol: &str, port: i32| {
        let port =
            json!([{"containerPort": 80, "hostPort": port, "hostIP": ip, "protocol": protocol}]);
        with_ports(false, &port)
    };
    let taken = port("127.0.0.1", "UDP", 8080);
    let cases = [
        (port("127.0.0.1", "UDP", 8080), true),
        (port("", "UDP", 8080), true),
        (port("0.0.0.0", "UDP", 8080), true),
        (port("127.0.0.2", "UDP", 8080), false),
        (port("127.0.0.1", "TCP", 8080), false),
        (port("127.0.0.1", "UDP", 8081), false),
        (
            with_ports(false, &json!([{"containerPort": 8080, "protocol": "UDP"}])),
            false,
        ),
        // What is the host's counts as well, and what stays beside the others.
        (
            with_ports(
                true,
                &json!([{"containerPort": 8080, "hostPort": 8080, "protocol": "UDP"}]),
            ),
            true,
        ),
        (
            pod(
                json!({"initContainers": [{"name": "s", "restartPolicy": "Always",
                "ports": [{"containerPort": 1, "hostPort": 8080, "protocol": "UDP"}]}]}),
            ),
            true,
        ),
        (
            pod(json!({"initContainers": [{"name": "i",
                "ports": [{"containerPort": 1, "hostPort": 8080, "protocol": "UDP"}]}]})),
            false,
        ),
    ];
    for (pod, conflicts) in cases {
        let expected = conflicts.then_some("NodePorts");
        assert_eq!(
            reason(&pod, std::slice::from_ref(&taken)).as_deref(),
            expected,
            "{:?}",
            pod.spec
        );
    }
}

#[test]
fn taints_that_drive_pods_off() {
    let decide = |tolerations: Value, effect: &str, is_static: bool| {
        let mut pod = pod(json!({"tolerations": tolerations}));
        if is_static {
            let source = ("kubernetes.io/config.source".into(), "file".into());
            pod.metadata.annotations = Some([source].into());
        }
        let mut node = node();
        let taints = json!([{"key": "maintenance", "value": "now", "effect": effect}]);
        node.spec.get_or_insert_default().taints = serde_json::from_value(taints).unwrap();
        let facts = NodeState {
            node: &node,
            pressures: &[],
        };
        admit(&pod, &[], facts).err().map(|it| it.reason)
    };
    let refused = Some("TaintToleration".to_owned());
    assert_eq!(decide(json!([]), "NoExecute", false), refused);
    assert_eq!(decide(json!([]), "NoExecute", true), None);
    assert_eq!(
        decide(json!([]), "NoSchedule", false),
        None,
        "that was the scheduler's"
    );
    for (toleration, tolerates) in [
        (json!({"operator": "Exists"}), true),
        (json!({"key": "maintenance", "operator": "Exists"}), true),
        (json!({"key": "maintenance", "value": "now"}), true),
        (
            json!({"key": "maintenance", "value": "now", "effect": "NoExecute"}),
            true,
        ),
        (
            json!({"key": "maintenance", "value": "now", "effect": "NoSchedule"}),
            false,
        ),
        (
            json!({"key": "maintenance", "operator": "Equal", "value": "later"}),
            false,
        ),
        (
            json!({"key": "maintenance", "operator": "Gt", "value": "1"}),
            false,
        ),
        (json!({"key": "other", "operator": "Exists"}), false),
    ] {
        let decided = decide(json!([toleration]), "NoExecute", false);
        assert_eq!(decided.is_none(), tolerates, "{toleration}");
    }
}

#[test]
fn reject_pod_admission_based_on_os() {
    let os = |os: &str| reason(&pod(json!({"os": {"name": os}})), &[]);
    assert_eq!(os("linux"), None);
    assert_eq!(os("windows").as_deref(), Some("PodOSNotSupported"));
    let label = |os: &str| {
        let mut pod = pod(json!({}));
        pod.metadata.labels = Some([("kubernetes.io/os".into(), os.into())].into());
        reason(&pod, &[])
    };
    assert_eq!(label("linux"), None);
    let refused = label("windows");
    assert_eq!(
        refused.as_deref(),
        Some("PodOSSelectorNodeLabelDoesNotMatch")
    );
}

#[test]
fn admit_under_node_conditions() {
    use Pressure::{Disk, Memory, Pid};

    let best_effort = pod(json!({}));
    let burstable = requesting(&json!({"cpu": "1m"}));
    let content = pod(json!({"tolerations": [
        {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    ]}));
    let critical = pod(json!({"priority": 2_000_000_000}));
    for (pod, pressures, fits) in [
        (&best_effort, &[][..], true),
        (&best_effort, &[Memory], false),
        (&burstable, &[Memory], true),
        (&content, &[Memory], true),
        (&critical, &[Memory], true),
        (&best_effort, &[Disk], false),
        (&burstable, &[Disk], false),
        (&content, &[Disk], false),
        (&critical, &[Disk], true),
        (&burstable, &[Memory, Disk], false),
        (&burstable, &[Pid], false),
    ] {
        let decided = decide(pod, &[], pressures);
        assert_eq!(decided.is_ok(), fits, "{pressures:?} {:?}", pod.spec);
    }
    let rejection = decide(&burstable, &[], &[Memory, Disk]).unwrap_err();
    assert_eq!(rejection.reason, "Evicted");
    assert_eq!(
        rejection.message,
        "The node had condition: [MemoryPressure DiskPressure]. "
    );
}

#[test]
fn what_the_agent_does_not_do_is_refused() {
    let sysctl = |name: &str| {
        let sysctls = json!([{"name": name, "value": "1"}]);
        decide(
            &pod(json!({"securityContext": {"sysctls": sysctls}})),
            &[],
            &[],
        )
    };
    assert_eq!(sysctl("net.ipv4.tcp_syncookies"), Ok(()));
    let refused = sysctl("kernel.msgmax").unwrap_err();
    assert_eq!(refused.reason, "SysctlForbidden");
    assert!(
        refused
            .message
            .starts_with("forbidden sysctl: \"kernel.msgmax\"")
    );

    let policy = pod(json!({"containers": [{"name": "a", "restartPolicy": "Never"}]}));
    let refused = decide(&policy, &[], &[]).unwrap_err();
    assert_eq!(refused.reason, "UnsupportedField");
    assert!(refused.message.contains("restartPolicy"), "{refused}");
}
