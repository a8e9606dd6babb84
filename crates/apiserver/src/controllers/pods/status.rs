//! What a kubelet would write into the status of a pod.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::controllers::conditions::{Condition, has_condition, set_condition, time};

/// Assigns the pod to a node, as a binding does.
pub(super) fn assign(pod: &mut Value, node: &str, now: Timestamp) {
    let unassigned = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    if unassigned && pod["metadata"]["deletionTimestamp"].is_null() {
        pod["spec"]["nodeName"] = node.into();
        hold(pod, "PodScheduled", now);
    }
}

/// The containers run, and are not ready yet.
pub(super) fn run(pod: &mut Value, address: Ipv4Addr, host: Ipv4Addr, now: Timestamp) {
    let address = match pod["spec"]["hostNetwork"] == json!(true) {
        true => host,
        false => address,
    };
    let init: Vec<Value> = each_container(pod, "initContainers")
        .map(|container| match container["restartPolicy"] == "Always" {
            // A sidecar: it runs as long as the pod does.
            true => container_status(pod, container, 0, &json!({}), &running(now)),
            false => {
                let done = terminated(pod, container, 0, now);
                container_status(pod, container, 0, &json!({}), &done)
            }
        })
        .collect();
    let containers: Vec<Value> = each_container(pod, "containers")
        .map(|container| container_status(pod, container, 0, &json!({}), &running(now)))
        .collect();
    let status = &mut pod["status"];
    status["phase"] = "Running".into();
    status["hostIP"] = host.to_string().into();
    status["hostIPs"] = json!([{ "ip": host.to_string() }]);
    status["podIP"] = address.to_string().into();
    status["podIPs"] = json!([{ "ip": address.to_string() }]);
    status["startTime"] = time(now);
    status["containerStatuses"] = containers.into();
    if !init.is_empty() {
        status["initContainerStatuses"] = init.into();
    }
    for kind in ["PodScheduled", "PodReadyToStartContainers", "Initialized"] {
        hold(pod, kind, now);
    }
    unready(pod, now);
    observe_generation(pod);
}

/// The containers are ready, and the pod is if its readiness gates say so.
pub(super) fn ready(pod: &mut Value, now: Timestamp) {
    set_ready(pod, true);
    hold(pod, "ContainersReady", now);
    if is_ready(pod) {
        hold(pod, "Ready", now);
    } else {
        let condition = Condition::new("Ready", false).why(
            "ReadinessGatesNotReady",
            "the status of pod readiness gates is not \"True\"",
        );
        set_condition(pod, condition, now);
    }
    observe_generation(pod);
}

/// The containers end; by the pod's restart policy they begin again, or that was all.
pub(super) fn exit(pod: &mut Value, code: i32, now: Timestamp) {
    let restarts = match pod["spec"]["restartPolicy"].as_str() {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => true,
    };
    let containers: Vec<Value> = each_container(pod, "containers")
        .map(|container| {
            let end = terminated(pod, container, code, now);
            let count = container_restarts(pod, container);
            match restarts {
                true => container_status(pod, container, count + 1, &end, &running(now)),
                false => container_status(pod, container, count, &json!({}), &end),
            }
        })
        .collect();
    pod["status"]["containerStatuses"] = containers.into();
    if restarts {
        return unready(pod, now);
    }
    let (phase, reason) = match code {
        0 => ("Succeeded", "PodCompleted"),
        _ => ("Failed", "PodFailed"),
    };
    pod["status"]["phase"] = phase.into();
    for kind in ["ContainersReady", "Ready"] {
        set_condition(pod, Condition::new(kind, false).why(reason, ""), now);
    }
    observe_generation(pod);
}

/// How often the containers of a pod were started again, taken together.
pub(super) fn restarts(pod: &Value) -> i64 {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let counts = statuses.into_iter().flatten();
    counts
        .filter_map(|status| status["restartCount"].as_i64())
        .sum()
}

/// Whether a pod whose containers are ready is ready itself.
pub(super) fn is_ready(pod: &Value) -> bool {
    let gates = pod["spec"]["readinessGates"].as_array();
    let mut gates = gates.into_iter().flatten();
    gates.all(|gate| has_condition(pod, gate["conditionType"].as_str().unwrap_or_default()))
}

fn hold(pod: &mut Value, kind: &str, now: Timestamp) {
    set_condition(pod, Condition::new(kind, true), now);
}

/// No container is ready.
fn unready(pod: &mut Value, now: Timestamp) {
    set_ready(pod, false);
    let names: Vec<&str> = each_container(pod, "containers")
        .filter_map(|container| container["name"].as_str())
        .collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    for kind in ["ContainersReady", "Ready"] {
        let condition = Condition::new(kind, false).why("ContainersNotReady", &message);
        set_condition(pod, condition, now);
    }
    observe_generation(pod);
}

fn set_ready(pod: &mut Value, ready: bool) {
    let statuses = pod["status"]["containerStatuses"].as_array_mut();
    for status in statuses.into_iter().flatten() {
        status["ready"] = ready.into();
    }
}

fn each_container<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    pod["spec"][list].as_array().into_iter().flatten()
}

fn container_restarts(pod: &Value, container: &Value) -> i64 {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    let status = statuses.find(|status| status["name"] == container["name"]);
    status
        .and_then(|status| status["restartCount"].as_i64())
        .unwrap_or_default()
}

fn container_status(
    pod: &Value,
    container: &Value,
    restarts: i64,
    last_state: &Value,
    state: &Value,
) -> Value {
    let runs = !state["running"].is_null();
    json!({
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"],
        "containerID": container_id(pod, container),
        // Init containers have done what they are for, or are sidecars that run.
        "ready": is_init(pod, container),
        "started": runs,
        "restartCount": restarts,
        "state": state,
        "lastState": last_state,
    })
}

fn is_init(pod: &Value, container: &Value) -> bool {
    each_container(pod, "initContainers").any(|init| init["name"] == container["name"])
}

fn container_id(pod: &Value, container: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uid = text(&pod["metadata"]["uid"]);
    format!("kubewright://{uid}/{}", text(&container["name"]))
}

fn running(now: Timestamp) -> Value {
    json!({ "running": { "startedAt": time(now) } })
}

fn terminated(pod: &Value, container: &Value, code: i32, now: Timestamp) -> Value {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    let status = statuses.find(|status| status["name"] == container["name"]);
    let started = status.map(|status| &status["state"]["running"]["startedAt"]);
    json!({ "terminated": {
        "exitCode": code,
        "reason": if code == 0 { "Completed" } else { "Error" },
        "startedAt": started.filter(|at| at.is_string()).cloned().unwrap_or_else(|| time(now)),
        "finishedAt": time(now),
        "containerID": container_id(pod, container),
    } })
}

/// Says which generation of the spec the status is about.
fn observe_generation(pod: &mut Value) {
    if let Some(generation) = pod["metadata"]["generation"].as_i64() {
        pod["status"]["observedGeneration"] = generation.into();
    }
}
