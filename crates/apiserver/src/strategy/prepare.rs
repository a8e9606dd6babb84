//! The parts of an object that only the server sets, on creation and on change.

use serde_json::{Map, Value, json};

use super::{Generation, quality, rules};
use crate::crd;
use crate::fields::default_status;
use crate::resource::{Origin, Resource};

/// Sets what the server alone may set in an object that is about to be created.
///
/// Call it once the name and `metadata.uid` are set: some kinds write them elsewhere too.
pub(crate) fn prepare_for_create(resource: &Resource, object: &mut Value) {
    disown(object);
    reset_status(resource, object);
    match rules(resource).generation {
        Generation::Untracked => {}
        _ => object["metadata"]["generation"] = 1.into(),
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"] = json!({"finalizers": ["kubernetes"]});
        }
        ("batch", "Job") => select_own_pods(object),
        _ => {}
    }
}

/// Drops what clients say of who owns which field: it is the server that tracks that, once it does.
fn disown(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

/// A new object has no status yet, whatever the client says.
fn reset_status(resource: &Resource, object: &mut Value) {
    let initial = match (resource.group.as_str(), resource.kind.as_str()) {
        // Kubelets register nodes with their status.
        ("", "Node") => return,
        ("", "Namespace") => json!({"phase": "Active"}),
        ("", "PersistentVolume" | "PersistentVolumeClaim") => json!({"phase": "Pending"}),
        ("", "Pod") => json!({"phase": "Pending", "qosClass": quality::of(object)}),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::initial_status(object),
        _ if resource.subresource("status").is_none() => return,
        _ => match default_status(resource) {
            Some(status) => status,
            None => {
                if let Some(object) = object.as_object_mut() {
                    object.remove("status");
                }
                return;
            }
        },
    };
    object["status"] = initial;
}

/// A job that does not say which pods are its own knows them by its uid.
fn select_own_pods(job: &mut Value) {
    let inherits = job["metadata"]["labels"]
        .as_object()
        .is_none_or(Map::is_empty)
        || job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"];
    if job["spec"]["manualSelector"] != true {
        let uid = job["metadata"]["uid"].clone();
        let name = job["metadata"]["name"].clone();
        let labels = &mut job["spec"]["template"]["metadata"]["labels"];
        for (label, value) in [
            ("batch.kubernetes.io/controller-uid", &uid),
            ("batch.kubernetes.io/job-name", &name),
            ("controller-uid", &uid),
            ("job-name", &name),
        ] {
            labels[label] = value.clone();
        }
        job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid;
    }
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if inherits && labels.is_object() {
        job["metadata"]["labels"] = labels;
    }
}

/// Restores in `new` what the endpoint may not change, and counts the generation.
///
/// `subresource` is `None` for the object itself, `Some("status")` for its status.
/// Both objects are in the stored form.
pub(crate) fn prepare_for_update(
    resource: &Resource,
    new: &mut Value,
    old: &Value,
    subresource: Option<&str>,
) {
    disown(new);
    let Some(object) = new.as_object_mut() else {
        return;
    };
    match subresource {
        None => keep_status(resource, object, old),
        Some("status") => keep_all_but_status(resource, object, old),
        Some(_) => {}
    }
    match (resource.group.as_str(), resource.kind.as_str(), subresource) {
        ("", "Namespace", None) => restore(object, old, "spec"),
        ("", "Namespace", Some("finalize")) => restore(object, old, "status"),
        ("", "Pod", Some("status")) => keep_observed(new, old),
        ("", "Pod", Some("ephemeralcontainers")) => keep_all_but_ephemeral(new, old),
        ("", "Secret", None) if new["type"].is_null() => new["type"] = old["type"].clone(),
        ("", "Service", None) => super::addresses::keep(new, old),
        ("apiextensions.k8s.io", "CustomResourceDefinition", None) => {
            crd::note_stored_version(new);
        }
        _ => {}
    }
    count_generation(resource, new, old);
}

/// The main endpoint does not change the status of what has a status endpoint.
fn keep_status(resource: &Resource, object: &mut Map<String, Value>, old: &Value) {
    if resource.subresource("status").is_some() {
        restore(object, old, "status");
    }
}

/// The status endpoint changes the status, and for many older kinds metadata.
fn keep_all_but_status(resource: &Resource, object: &mut Map<String, Value>, old: &Value) {
    let status = object.remove("status");
    let metadata = object.remove("metadata").unwrap_or_default();
    *object = old.as_object().cloned().unwrap_or_default();
    match status {
        Some(status) => object.insert("status".to_owned(), status),
        None => object.remove("status"),
    };
    let kept: &[&str] = match (resource.group.as_str(), resource.kind.as_str()) {
        _ if matches!(resource.origin, Origin::Custom(_)) => return,
        (
            "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "resource.k8s.io",
            _,
        )
        | ("storage.k8s.io", "VolumeAttachment")
        | ("networking.k8s.io", "ServiceCIDR") => return,
        ("", "Pod") => &["ownerReferences"],
        ("apps", "Deployment") => &["labels"],
        _ => &[],
    };
    let mut metadata = metadata;
    if let Some(metadata) = metadata.as_object_mut() {
        for field in kept {
            restore(metadata, &old["metadata"], field);
        }
    }
    object.insert("metadata".to_owned(), metadata);
}

/// The endpoint of ephemeral containers changes them alone.
fn keep_all_but_ephemeral(new: &mut Value, old: &Value) {
    let field = "ephemeralContainers";
    let wanted = new["spec"].take();
    *new = old.clone();
    if let Some(spec) = new["spec"].as_object_mut() {
        spec.remove(field);
        restore(spec, &wanted, field);
    }
}

/// A pod keeps its quality of service, and what was observed when, if its status does not say.
fn keep_observed(new: &mut Value, old: &Value) {
    let (new, old) = (&mut new["status"], &old["status"]);
    for field in ["qosClass", "observedGeneration"] {
        if new[field].is_null()
            && let Some(value) = old.get(field)
        {
            new[field] = value.clone();
        } else if let Some(status) = new.as_object_mut()
            && status.get(field).is_some_and(Value::is_null)
        {
            status.remove(field);
        }
    }
}

fn count_generation(resource: &Resource, new: &mut Value, old: &Value) {
    let generation = old["metadata"]["generation"].as_i64();
    let changed = match rules(resource).generation {
        Generation::Untracked => false,
        Generation::Fields(pointers) => pointers
            .iter()
            .any(|pointer| new.pointer(pointer) != old.pointer(pointer)),
        Generation::AllButMetadata => differ(new, old, &["metadata", "apiVersion"]),
        Generation::AllButMetadataAndStatus => {
            differ(new, old, &["metadata", "apiVersion", "status"])
        }
    };
    let Some(metadata) = new["metadata"].as_object_mut() else {
        return;
    };
    match generation {
        Some(generation) => {
            let counted = generation + i64::from(changed);
            metadata.insert("generation".to_owned(), counted.into());
        }
        None => {
            metadata.remove("generation");
        }
    }
}

/// Whether two objects differ in a field that is not one of `ignored`.
fn differ(new: &Value, old: &Value, ignored: &[&str]) -> bool {
    let counted = |value: &Value| -> Vec<(String, Value)> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| !ignored.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    counted(new) != counted(old)
}

fn restore(object: &mut Map<String, Value>, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => object.insert(field.to_owned(), value.clone()),
        None => object.remove(field),
    };
}
