use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

/// A ready node of 2 CPUs, 1 Gi and room for 10 pods, changed as a patch says.
pub(crate) fn node(name: &str, patch: &Value) -> Arc<Node> {
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    merge(&mut node, patch);
    Arc::new(serde_json::from_value(node).unwrap())
}

/// A pod of one container, with a spec that is changed as a patch says.
pub(crate) fn pod(name: &str, spec: &Value) -> Arc<Pod> {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    });
    merge(&mut pod["spec"], spec);
    Arc::new(serde_json::from_value(pod).unwrap())
}

pub(crate) fn requesting(name: &str, requests: &Value) -> Arc<Pod> {
    let resources = json!({"requests": requests});
    pod(
        name,
        &json!({"containers": [{"name": "app", "image": "app", "resources": resources}]}),
    )
}

pub(crate) fn on(node: &str, pod: &Arc<Pod>) -> Arc<Pod> {
    let mut pod = Pod::clone(pod);
    pod.spec.get_or_insert_default().node_name = Some(node.to_owned());
    Arc::new(pod)
}

pub(crate) fn in_phase(phase: &str, pod: &Arc<Pod>) -> Arc<Pod> {
    let mut pod = Pod::clone(pod);
    pod.status.get_or_insert_default().phase = Some(phase.to_owned());
    Arc::new(pod)
}

fn merge(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, patch) in patch {
                merge(fields.entry(name.clone()).or_insert(Value::Null), patch);
            }
        }
        (value, patch) => *value = patch.clone(),
    }
}
