//! Defaults of pods and of the templates that pods are made from.

use kubewright_quantity::Quantity;
use serde_json::{Map, Value, json};

use super::fill::{fill, given, items};
use super::volumes;

/// The lists of containers that a pod can have.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// How long a pod stays on a node that is in trouble, in seconds.
const TOLERATION_SECONDS: u32 = 300;

pub(super) fn pod(object: &mut Value) {
    let spec = &mut object["spec"];
    self::spec(spec);
    fill(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            requests_from_limits(container);
        }
    }
    if spec["hostNetwork"] == true {
        host_ports(spec);
    }
    admit(spec);
}

/// Defaults of a `PodTemplateSpec`.
pub(super) fn template(template: &mut Value) {
    if template.is_object() {
        spec(&mut template["spec"]);
    }
}

/// What the admission plugins of a default server add to every pod.
fn admit(spec: &mut Value) {
    fill(spec, "priority", 0);
    fill(spec, "preemptionPolicy", "PreemptLowerPriority");
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = items(spec, "tolerations").any(|toleration| {
            (toleration["key"] == key || toleration["key"].is_null() || toleration["key"] == "")
                && (toleration["effect"] == "NoExecute"
                    || toleration["effect"].is_null()
                    || toleration["effect"] == "")
        });
        if !tolerated {
            fill(spec, "tolerations", json!([]));
            if let Some(tolerations) = spec["tolerations"].as_array_mut() {
                tolerations.push(json!({
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": TOLERATION_SECONDS,
                }));
            }
        }
    }
}

fn spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "schedulerName", "default-scheduler");
    // One thing under two names.
    for (from, to) in [
        ("serviceAccountName", "serviceAccount"),
        ("serviceAccount", "serviceAccountName"),
    ] {
        if let Some(name) = given(spec, from).cloned() {
            fill(spec, to, name);
        }
    }
    for list in CONTAINERS {
        for container in items(spec, list) {
            self::container(container);
        }
    }
    for volume in items(spec, "volumes") {
        volumes::volume(volume);
    }
    if let Some(resources) = given(spec, "resources") {
        round_resources(resources);
    }
}

fn container(container: &mut Value) {
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    let image = container["image"].as_str().unwrap_or_default();
    let policy = pull_policy(image);
    fill(container, "imagePullPolicy", policy);
    for port in items(container, "ports") {
        fill(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            fill(field, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = given(container, name) {
            fill(probe, "timeoutSeconds", 1);
            fill(probe, "periodSeconds", 10);
            fill(probe, "successThreshold", 1);
            fill(probe, "failureThreshold", 3);
            handler(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = container
            .get_mut("lifecycle")
            .and_then(|hooks| given(hooks, hook))
        {
            handler(hook);
        }
    }
    if let Some(resources) = given(container, "resources") {
        round_resources(resources);
    }
}

fn handler(handler: &mut Value) {
    if let Some(request) = given(handler, "httpGet") {
        fill(request, "path", "/");
        fill(request, "scheme", "HTTP");
    }
    if let Some(call) = given(handler, "grpc") {
        fill(call, "service", "");
    }
}

/// Which images are pulled anew each time: those of which it is not said which one is meant.
pub(super) fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, "latest")), _) | (None, None) => "Always",
        _ => "IfNotPresent",
    }
}

/// A container asks for what it is limited to, unless it says what it asks for.
fn requests_from_limits(container: &mut Value) {
    let Some(resources) = given(container, "resources") else {
        return;
    };
    let Some(limits) = resources["limits"].as_object().cloned() else {
        return;
    };
    fill(resources, "requests", Map::new());
    for (name, quantity) in limits {
        fill(&mut resources["requests"], &name, quantity);
    }
}

/// On the network of its node, a container's port is the node's port.
fn host_ports(spec: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            for port in items(container, "ports") {
                let number = port["containerPort"].clone();
                if number != 0 {
                    fill(port, "hostPort", number);
                }
            }
        }
    }
}

/// Resources are counted in thousandths at the finest.
fn round_resources(resources: &mut Value) {
    for list in ["limits", "requests"] {
        let quantities = resources.get_mut(list).and_then(Value::as_object_mut);
        for quantity in quantities.into_iter().flat_map(Map::values_mut) {
            if let Some(Ok(parsed)) = quantity.as_str().map(Quantity::parse) {
                *quantity = parsed.round_up_to_milli().to_string().into();
            }
        }
    }
}
