//! Tables of what fits where, and of what is said if nothing does.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use playground::scheduler::place;
use serde_json::{Value, json};

use crate::fixtures::{in_phase, node, on, pod, requesting};

fn none() -> Value {
    json!({})
}

/// The node that a pod is placed on, or why it is not placed.
fn check(pod: &Pod, nodes: &[Arc<Node>], pods: &[Arc<Pod>], expected: &str) {
    let placed = match place(pod, nodes, pods) {
        Ok(node) => node.to_string(),
        Err(why) => why.to_string(),
    };
    assert_eq!(placed, expected, "{:?}", pod.spec);
}

#[test]
fn without_nodes_there_is_no_place() {
    let expected = "no nodes available to schedule pods";
    check(&pod("p", &none()), &[], &[], expected);
}

#[test]
fn resources_are_counted_against_what_is_bound() {
    let nodes = [node("a", &none())];
    let half = on(
        "a",
        &requesting("x", &json!({"cpu": "1500m", "memory": "100Mi"})),
    );
    let wants = |requests| requesting("p", &requests);
    for (requests, expected) in [
        (json!({"cpu": "500m"}), "a"),
        (
            json!({"cpu": "501m"}),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (json!({"memory": "924Mi"}), "a"),
        (
            json!({"memory": "925Mi"}),
            "0/1 nodes are available: 1 Insufficient memory.",
        ),
        (
            json!({"cpu": "3", "memory": "2Gi"}),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
        ),
        (
            json!({"example.com/gpu": "1"}),
            "0/1 nodes are available: 1 Insufficient example.com/gpu.",
        ),
    ] {
        check(
            &wants(requests),
            &nodes,
            std::slice::from_ref(&half),
            expected,
        );
    }
    let ended = in_phase("Succeeded", &half);
    check(&wants(json!({"cpu": "2"})), &nodes, &[ended], "a");
    let elsewhere = on("b", &half);
    check(&wants(json!({"cpu": "2"})), &nodes, &[elsewhere], "a");
}

#[test]
fn a_node_takes_so_many_pods() {
    let nodes = [node(
        "a",
        &json!({"status": {"allocatable": {"pods": "2"}}}),
    )];
    let others = [on("a", &pod("x", &none())), on("a", &pod("y", &none()))];
    check(&pod("p", &none()), &nodes, &others[..1], "a");
    let expected = "0/1 nodes are available: 1 Too many pods.";
    check(&pod("p", &none()), &nodes, &others, expected);
    let gone = [others[0].clone(), in_phase("Failed", &others[1])];
    check(&pod("p", &none()), &nodes, &gone, "a");
}

#[test]
fn pods_choose_nodes() {
    let nodes = [
        node("a", &json!({"metadata": {"labels": {"zone": "east"}}})),
        node(
            "b",
            &json!({"metadata": {"labels": {"zone": "west", "disks": "3"}}}),
        ),
    ];
    let neither = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    let affinity = |terms: Value| {
        json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
        }}})
    };
    let expression = |key, operator, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (spec, expected) in [
        (json!({"nodeSelector": {"zone": "west"}}), "b"),
        (json!({"nodeSelector": {"zone": "north"}}), neither),
        (
            affinity(json!([expression("zone", "In", json!(["east"]))])),
            "a",
        ),
        (
            affinity(json!([expression("zone", "NotIn", json!(["east"]))])),
            "b",
        ),
        (
            affinity(json!([expression("disks", "Gt", json!(["2"]))])),
            "b",
        ),
        (
            affinity(json!([expression("disks", "Exists", json!([]))])),
            "b",
        ),
        (
            affinity(
                json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]),
            ),
            "b",
        ),
        (
            affinity(json!([expression("zone", "In", json!(["north"]))])),
            neither,
        ),
        (
            affinity(json!([
                expression("zone", "In", json!(["north"])),
                expression("zone", "In", json!(["west"]))
            ])),
            "b",
        ),
    ] {
        check(&pod("p", &spec), &nodes, &[], expected);
    }
}

#[test]
fn taints_keep_pods_away() {
    let tainted = |effect: &str| {
        let taint = json!({"key": "team", "value": "blue", "effect": effect});
        [node("a", &json!({"spec": {"taints": [taint]}}))]
    };
    let tolerating = |toleration: Value| json!({"tolerations": [toleration]});
    let refused = "0/1 nodes are available: 1 node(s) had untolerated taint(s).";
    for (effect, spec, expected) in [
        ("NoSchedule", none(), refused),
        ("NoExecute", none(), refused),
        ("PreferNoSchedule", none(), "a"),
        ("NoSchedule", tolerating(json!({"operator": "Exists"})), "a"),
        (
            "NoSchedule",
            tolerating(json!({"key": "team", "value": "blue"})),
            "a",
        ),
        (
            "NoSchedule",
            tolerating(json!({"key": "team", "value": "red"})),
            refused,
        ),
        (
            "NoExecute",
            tolerating(json!({"key": "team", "operator": "Exists", "effect": "NoSchedule"})),
            refused,
        ),
    ] {
        check(&pod("p", &spec), &tainted(effect), &[], expected);
    }
}

#[test]
fn nodes_that_are_cordoned_or_unwell_take_none() {
    let cordoned = [node("a", &json!({"spec": {"unschedulable": true}}))];
    let tolerates = |key: &str| json!({"tolerations": [{"key": key, "operator": "Exists", "effect": "NoSchedule"}]});
    let expected = "0/1 nodes are available: 1 node(s) were unschedulable.";
    check(&pod("p", &none()), &cordoned, &[], expected);
    let brave = pod("p", &tolerates("node.kubernetes.io/unschedulable"));
    check(&brave, &cordoned, &[], "a");

    let tainted = "0/1 nodes are available: 1 node(s) had untolerated taint(s).";
    let ready = json!({"type": "Ready", "status": "True"});
    let also = |type_: &str| json!([ready, {"type": type_, "status": "True"}]);
    for (conditions, key) in [
        (json!([{"type": "Ready", "status": "False"}]), "not-ready"),
        (
            json!([{"type": "Ready", "status": "Unknown"}]),
            "unreachable",
        ),
        (json!([]), "not-ready"),
        (also("DiskPressure"), "disk-pressure"),
        (also("MemoryPressure"), "memory-pressure"),
        (also("PIDPressure"), "pid-pressure"),
        (also("NetworkUnavailable"), "network-unavailable"),
    ] {
        let unwell = [node("a", &json!({"status": {"conditions": conditions}}))];
        check(&pod("p", &none()), &unwell, &[], tainted);
        let brave = pod("p", &tolerates(&format!("node.kubernetes.io/{key}")));
        check(&brave, &unwell, &[], "a");
    }
    let well = json!([ready, {"type": "DiskPressure", "status": "False"}]);
    let well = [node("a", &json!({"status": {"conditions": well}}))];
    check(&pod("p", &none()), &well, &[], "a");
}

#[test]
fn ports_of_the_host_are_had_once() {
    let port = |ip: &str| json!({"containers": [{"name": "app", "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": ip}]}]});
    let nodes = [node("a", &none())];
    let taken = [on("a", &pod("x", &port("127.0.0.1")))];
    let expected =
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    check(&pod("p", &port("127.0.0.1")), &nodes, &taken, expected);
    check(&pod("p", &port("")), &nodes, &taken, expected);
    check(&pod("p", &port("127.0.0.2")), &nodes, &taken, "a");
}

#[test]
fn what_speaks_against_nodes_is_counted_and_sorted() {
    let nodes = [
        node("a", &json!({"spec": {"unschedulable": true}})),
        node("b", &none()),
        node("c", &none()),
        node(
            "d",
            &json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}),
        ),
    ];
    let expected = "0/4 nodes are available: 1 node(s) had untolerated taint(s), \
                    1 node(s) were unschedulable, 2 Insufficient cpu.";
    check(
        &requesting("p", &json!({"cpu": "3"})),
        &nodes,
        &[],
        expected,
    );
}

#[test]
fn the_node_with_the_most_left_over_is_taken() {
    let big = node(
        "big",
        &json!({"status": {"allocatable": {"cpu": "8", "memory": "8Gi"}}}),
    );
    let nodes = [node("a", &none()), node("b", &none())];
    let small = requesting("p", &json!({"cpu": "100m"}));
    check(&small, &nodes, &[], "a");
    let busy = on("a", &requesting("x", &json!({"cpu": "1"})));
    check(&small, &nodes, std::slice::from_ref(&busy), "b");
    let with_big = [nodes[0].clone(), nodes[1].clone(), big];
    check(&small, &with_big, &[busy], "big");
    // Those that ask for nothing are spread as well.
    let modest = pod("p", &none());
    check(&modest, &nodes, &[on("a", &pod("x", &none()))], "b");
}

#[test]
fn what_it_does_not_know_it_refuses_by_name() {
    let term = json!([{"topologyKey": "zone", "labelSelector": {}}]);
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let spread = |when: &str| json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when}]});
    let nodes = [node("a", &none())];
    for (spec, what) in [
        (
            json!({"affinity": {"podAffinity": {required: term}}}),
            "required affinity to other pods",
        ),
        (
            json!({"affinity": {"podAntiAffinity": {required: term}}}),
            "required anti-affinity to other pods",
        ),
        (
            spread("DoNotSchedule"),
            "topology spread constraints that are not to be broken",
        ),
        (
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}),
            "claims of volumes",
        ),
        (
            json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]}),
            "claims of devices",
        ),
    ] {
        let expected = format!("this scheduler does not know what to make of {what}");
        check(&pod("p", &spec), &nodes, &[], &expected);
    }
    check(&pod("p", &spread("ScheduleAnyway")), &nodes, &[], "a");
}
