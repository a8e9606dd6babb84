//! Pods and the templates that pods are made from.

use std::collections::BTreeSet;

use kubewright_quantity::Quantity;
use serde_json::{Map, Value};

use super::{items, metadata, names, non_negative, text};
use crate::error::Cause;
use crate::path::Path;
use crate::syntax;

/// The annotation of pods that stand for what a node runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What only containers have that a pod begins with.
const NOT_EPHEMERAL: [&str; 6] = [
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "resources",
    "lifecycle",
];

pub(super) fn create(pod: &Value, causes: &mut Vec<Cause>) {
    common(pod, causes);
    if !items(&pod["spec"]["ephemeralContainers"]).is_empty() {
        let path = "spec.ephemeralContainers";
        causes.push(Cause::forbidden(path, "cannot be set on create"));
    }
}

/// What is wrong with a pod, however it came to be.
fn common(pod: &Value, causes: &mut Vec<Cause>) {
    let mirror = &pod["metadata"]["annotations"][MIRROR];
    if !mirror.is_null() && text(&pod["spec"]["nodeName"]).is_empty() {
        causes.push(Cause::invalid(
            mirror_path(),
            mirror,
            "must set spec.nodeName if mirror pod annotation is set",
        ));
    }
    spec(&pod["spec"], Path::Root.field("spec"), causes);
}

/// Whether a pod stands for one that a node runs by itself is decided when it is made.
fn mirror_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let mirror = |pod: &Value| pod["metadata"]["annotations"][MIRROR].clone();
    let (new, old) = (mirror(new), mirror(old));
    if new != old {
        let why = match old.is_null() {
            true => "may not add mirror pod annotation",
            false => "may not remove or update mirror pod annotation",
        };
        causes.push(Cause::forbidden(mirror_path(), why));
    }
}

fn mirror_path() -> String {
    format!("metadata.annotations[{MIRROR}]")
}

/// Little of a pod can change once it is there.
pub(super) fn update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    common(new, causes);
    mirror_update(new, old, causes);
    for list in ["containers", "initContainers"] {
        let (new, old) = (items(&new["spec"][list]), items(&old["spec"][list]));
        if new.len() != old.len() {
            causes.push(Cause::forbidden(
                format!("spec.{list}"),
                "pod updates may not add or remove containers",
            ));
            return;
        }
    }
    if without_mutable(&new["spec"], &old["spec"]) != without_mutable(&old["spec"], &old["spec"]) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
    let deadline = |pod: &Value| pod["spec"]["activeDeadlineSeconds"].as_i64();
    let complaint = match (deadline(new), deadline(old)) {
        (Some(new), Some(old)) if new > old => Some("must be less than or equal to previous value"),
        (None, Some(_)) => Some("must not update from a positive integer to nil value"),
        _ => None,
    };
    if let Some(complaint) = complaint {
        causes.push(Cause::invalid(
            "spec.activeDeadlineSeconds",
            &new["spec"]["activeDeadlineSeconds"],
            complaint,
        ));
    }
}

/// Ephemeral containers come and stay as they are.
pub(super) fn update_ephemeral(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    common(new, causes);
    let root = Path::Root.field("spec");
    let path = root.field("ephemeralContainers");
    if !new["metadata"]["annotations"][MIRROR].is_null() {
        let why = "static pods do not support ephemeral containers";
        causes.push(Cause::forbidden("", why));
        return;
    }
    let (new, old) = (&new["spec"], &old["spec"]);
    let regular: BTreeSet<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| items(&new[list]))
        .map(|container| text(&container["name"]))
        .collect();
    let containers = items(&new["ephemeralContainers"]);
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        if text(&container["name"]).is_empty() {
            causes.push(Cause::required(path.field("name"), ""));
        }
        let target = text(&container["targetContainerName"]);
        if !target.is_empty() && !regular.contains(target) {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                field: path.field("targetContainerName").into(),
                message: format!("Not found: {}", Value::from(target)),
            });
        }
        for field in NOT_EPHEMERAL {
            let given = &container[field];
            let empty = given.as_object().is_some_and(Map::is_empty);
            if !given.is_null() && !empty && given.as_array().is_none_or(|list| !list.is_empty()) {
                let why = "cannot be set for an Ephemeral Container";
                causes.push(Cause::forbidden(path.field(field), why));
            }
        }
    }
    for container in items(&old["ephemeralContainers"]) {
        let name = text(&container["name"]);
        let complaint = match containers
            .iter()
            .find(|new| new["name"] == container["name"])
        {
            None => "removed",
            Some(new) if new != container => "changed",
            Some(_) => continue,
        };
        let why = format!("existing ephemeral containers {name:?} may not be {complaint}\n");
        causes.push(Cause::forbidden(path, why));
    }
}

/// A pod's spec with what may change taken from `old`, which makes allowed changes equal.
fn without_mutable(spec: &Value, old: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        for (container, old) in spec[list]
            .as_array_mut()
            .into_iter()
            .flatten()
            .zip(items(&old[list]))
        {
            container["image"] = old["image"].clone();
        }
    }
    let added_only = items(&old["tolerations"])
        .iter()
        .all(|toleration| items(&spec["tolerations"]).contains(toleration));
    let Some(fields) = spec.as_object_mut() else {
        return spec;
    };
    let mut settle = |name: &str| match old.get(name) {
        Some(value) => {
            fields.insert(name.to_owned(), value.clone());
        }
        None => {
            fields.remove(name);
        }
    };
    settle("activeDeadlineSeconds");
    if added_only {
        settle("tolerations");
    }
    if !items(&old["schedulingGates"]).is_empty() {
        settle("schedulingGates");
    }
    if old["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0)
    {
        settle("terminationGracePeriodSeconds");
    }
    fields.retain(|_, value| !value.is_null());
    spec
}

/// A `PodTemplateSpec`.
pub(super) fn template(template: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let metadata_path = path.field("metadata");
    let labels = String::from(metadata_path.field("labels"));
    metadata::labels(&template["metadata"]["labels"], &labels, causes);
    spec(&template["spec"], path.field("spec"), causes);
}

fn spec(spec: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let volumes = volumes(spec, path, causes);
    let mut taken = BTreeSet::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.field(list);
        for (index, container) in items(&spec[list]).iter().enumerate() {
            let path = path.index(index);
            self::container(container, &volumes, path, causes);
            let name = text(&container["name"]);
            if !name.is_empty() && !taken.insert(name) {
                causes.push(Cause::duplicate(path.field("name"), &name.into()));
            }
        }
    }
    if spec["containers"].as_array().is_some_and(Vec::is_empty) {
        causes.push(Cause::required(path.field("containers"), ""));
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        causes.push(Cause::invalid(
            path.field("activeDeadlineSeconds"),
            &seconds.into(),
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    for (field, problems) in [
        ("hostname", names::label as fn(&str) -> Vec<String>),
        ("subdomain", names::label),
        ("nodeName", names::subdomain),
        ("serviceAccountName", names::subdomain),
        ("priorityClassName", names::subdomain),
        ("runtimeClassName", names::subdomain),
    ] {
        let name = text(&spec[field]);
        if !name.is_empty() {
            for problem in problems(name) {
                causes.push(Cause::invalid(path.field(field), &name.into(), problem));
            }
        }
    }
    let selector = String::from(path.field("nodeSelector"));
    metadata::labels(&spec["nodeSelector"], &selector, causes);
    tolerations(spec, path, causes);
}

fn volumes<'a>(spec: &'a Value, path: Path<'_>, causes: &mut Vec<Cause>) -> BTreeSet<&'a str> {
    let path = path.field("volumes");
    let mut known = BTreeSet::new();
    for (index, volume) in items(&spec["volumes"]).iter().enumerate() {
        let path = path.index(index);
        let name = text(&volume["name"]);
        if name.is_empty() {
            continue;
        }
        for problem in names::label(name) {
            causes.push(Cause::invalid(path.field("name"), &name.into(), problem));
        }
        if !known.insert(name) {
            causes.push(Cause::duplicate(path.field("name"), &name.into()));
        }
        let sources = volume
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|field| *field != "name");
        for source in sources.skip(1) {
            causes.push(Cause::forbidden(
                path.field(source),
                "may not specify more than 1 volume type",
            ));
        }
    }
    known
}

fn container(container: &Value, volumes: &BTreeSet<&str>, path: Path<'_>, causes: &mut Vec<Cause>) {
    let name = text(&container["name"]);
    if !name.is_empty() {
        for problem in names::label(name) {
            causes.push(Cause::invalid(path.field("name"), &name.into(), problem));
        }
    }
    let image = text(&container["image"]);
    if image.is_empty() {
        causes.push(Cause::required(path.field("image"), ""));
    } else if image.trim() != image {
        causes.push(Cause::invalid(
            path.field("image"),
            &image.into(),
            "must not have leading or trailing whitespace",
        ));
    }
    ports(container, path, causes);
    environment(container, path, causes);
    mounts(container, volumes, path, causes);
    resources(&container["resources"], path.field("resources"), causes);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            self::probe(&container[probe], path.field(probe), causes);
        }
    }
}

/// A port number that is none.
fn port_number(port: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    if port
        .as_i64()
        .is_some_and(|number| !(1..=65_535).contains(&number))
    {
        causes.push(Cause::invalid(
            path,
            port,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

fn ports(container: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("ports");
    let mut taken = BTreeSet::new();
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let path = path.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let problems = names::port(name);
            for problem in &problems {
                causes.push(Cause::invalid(path.field("name"), &name.into(), problem));
            }
            if problems.is_empty() && !taken.insert(name) {
                causes.push(Cause::duplicate(path.field("name"), &name.into()));
            }
        }
        if port["containerPort"] == 0 {
            causes.push(Cause::required(path.field("containerPort"), ""));
        } else {
            port_number(&port["containerPort"], path.field("containerPort"), causes);
        }
        port_number(&port["hostPort"], path.field("hostPort"), causes);
    }
}

fn environment(container: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("env");
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let path = path.index(index);
        if !text(&variable["value"]).is_empty() && variable["valueFrom"].is_object() {
            causes.push(Cause::invalid(
                path.field("valueFrom"),
                &"".into(),
                "may not be specified when `value` is not empty",
            ));
        }
        if text(&variable["name"]).contains('=') {
            causes.push(Cause::invalid(
                path.field("name"),
                &variable["name"],
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            ));
        }
    }
}

fn mounts(container: &Value, volumes: &BTreeSet<&str>, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("volumeMounts");
    let mut taken = BTreeSet::new();
    for (index, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let path = path.index(index);
        let name = text(&mount["name"]);
        if !name.is_empty() && !volumes.contains(name) {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                field: path.field("name").into(),
                message: format!("Not found: {}", Value::from(name)),
            });
        }
        let place = text(&mount["mountPath"]);
        if !place.is_empty() && !taken.insert(place) {
            causes.push(Cause::invalid(
                path.field("mountPath"),
                &place.into(),
                "must be unique",
            ));
        }
    }
}

fn resources(resources: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let quantity = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    for list in ["limits", "requests"] {
        let path = path.field(list);
        for (name, value) in resources[list].as_object().into_iter().flatten() {
            if quantity(value).is_some_and(Quantity::is_negative) {
                causes.push(Cause::invalid(
                    path.key(name),
                    value,
                    "must be greater than or equal to 0",
                ));
            }
            let is_standard = matches!(
                name.as_str(),
                "cpu" | "memory" | "storage" | "ephemeral-storage"
            ) || name.starts_with("hugepages-");
            if !is_standard && !name.contains('/') {
                causes.push(Cause::invalid(
                    path.key(name),
                    &name.as_str().into(),
                    "must be a standard resource type or fully qualified",
                ));
            }
        }
    }
    let requests = path.field("requests");
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = quantity(&resources["limits"][name]);
        let request = quantity(request);
        if let (Some(limit), Some(request)) = (limit, request)
            && request > limit
        {
            causes.push(Cause::invalid(
                requests,
                &request.to_string().into(),
                format!("must be less than or equal to {name} limit of {limit}"),
            ));
        }
    }
}

fn probe(probe: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let given = handlers.into_iter().filter(|name| probe[name].is_object());
    match given.count() {
        0 => causes.push(Cause::required(path, "must specify a handler type")),
        1 => {}
        _ => causes.push(Cause::forbidden(
            path,
            "may not specify more than 1 handler type",
        )),
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        non_negative(&probe[field], path.field(field), causes);
    }
    for handler in ["httpGet", "tcpSocket"] {
        let handler_path = path.field(handler);
        port_number(&probe[handler]["port"], handler_path.field("port"), causes);
    }
}

fn tolerations(spec: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("tolerations");
    for (index, toleration) in items(&spec["tolerations"]).iter().enumerate() {
        let path = path.index(index);
        let key = text(&toleration["key"]);
        if key.is_empty() {
            if toleration["operator"] != "Exists" {
                causes.push(Cause::invalid(
                    path.field("operator"),
                    &text(&toleration["operator"]).into(),
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                ));
            }
        } else {
            for problem in syntax::label_key(key) {
                causes.push(Cause::invalid(path.field("key"), &key.into(), problem));
            }
        }
        if toleration["operator"] == "Exists" && !text(&toleration["value"]).is_empty() {
            causes.push(Cause::invalid(
                path.field("operator"),
                &toleration["value"],
                "value must be empty when `operator` is 'Exists'",
            ));
        }
        if !toleration["tolerationSeconds"].is_null() && toleration["effect"] != "NoExecute" {
            causes.push(Cause::invalid(
                path.field("effect"),
                &text(&toleration["effect"]).into(),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            ));
        }
    }
}
