//! Metadata, which is the same for all kinds.

use serde_json::{Map, Value};

use super::{items, names, text};
use crate::error::Cause;
use crate::resource::{Origin, Resource};
use crate::syntax;

/// How many bytes the annotations of one object may have.
const MAX_ANNOTATIONS: u64 = 256 * 1024;

/// What is wrong with the metadata of a new object.
pub(super) fn create(resource: &Resource, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    let generated = text(&metadata["generateName"]);
    if !generated.is_empty() {
        // What ends in a dash is finished by what the server adds.
        let finished = generated
            .strip_suffix('-')
            .map_or(generated.to_owned(), |base| format!("{base}a"));
        for problem in name_problems(resource, &finished) {
            causes.push(Cause::invalid(
                "metadata.generateName",
                &metadata["generateName"],
                problem,
            ));
        }
    }
    let name = text(&metadata["name"]);
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for problem in name_problems(resource, name) {
            causes.push(Cause::invalid("metadata.name", &name.into(), problem));
        }
    }
    causes.extend(rest(resource, object));
    causes
}

/// What is wrong with the metadata of any object, its name aside.
pub(super) fn rest(resource: &Resource, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    let namespace = text(&metadata["namespace"]);
    if resource.namespaced && namespace.is_empty() {
        causes.push(Cause::required("metadata.namespace", ""));
    }
    if !resource.namespaced && !namespace.is_empty() {
        causes.push(Cause::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    super::non_negative(&metadata["generation"], "metadata.generation", &mut causes);
    labels(&metadata["labels"], "metadata.labels", &mut causes);
    annotations(&metadata["annotations"], &mut causes);
    owners(&metadata["ownerReferences"], &mut causes);
    finalizers(&metadata["finalizers"], &mut causes);
    causes
}

/// What is wrong with a change of metadata.
pub(super) fn update(resource: &Resource, new: &Value, old: &Value) -> Vec<Cause> {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut causes = Vec::new();
    if !old["deletionTimestamp"].is_null() {
        let added: Vec<String> = added_finalizers(new, old)
            .map(|finalizer| format!("{finalizer:?}"))
            .collect();
        if !added.is_empty() {
            causes.push(Cause::forbidden(
                "metadata.finalizers",
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.join(", ")
                ),
            ));
        }
    }
    if new["generation"].as_i64() < old["generation"].as_i64() {
        causes.push(Cause::invalid(
            "metadata.generation",
            &new["generation"],
            "must not be decremented",
        ));
    }
    let is_pod = resource.group.is_empty() && resource.kind == "Pod";
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        // The grace period of a pod may be cut short.
        if new[field] != old[field] && !(is_pod && field.starts_with("deletion")) {
            causes.push(Cause::invalid(
                format!("metadata.{field}"),
                &new[field],
                "field is immutable",
            ));
        }
    }
    causes
}

fn added_finalizers<'a>(new: &'a Value, old: &'a Value) -> impl Iterator<Item = &'a str> {
    let old = items(&old["finalizers"]);
    let mut added: Vec<&str> = items(&new["finalizers"])
        .iter()
        .filter(|finalizer| !old.contains(finalizer))
        .map(text)
        .collect();
    added.sort_unstable();
    added.dedup();
    added.into_iter()
}

/// What is wrong with a name, by the rule of its kind.
fn name_problems(resource: &Resource, name: &str) -> Vec<String> {
    if let Origin::Custom(_) = resource.origin {
        return names::subdomain(name);
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => names::label(name),
        ("", "Service") => names::label_1035(name),
        (
            "certificates.k8s.io" | "flowcontrol.apiserver.k8s.io" | "rbac.authorization.k8s.io",
            _,
        ) => names::path_segment(name),
        _ => names::subdomain(name),
    }
}

/// What is wrong with labels.
pub(super) fn labels(labels: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for problem in syntax::label_key(key) {
            causes.push(Cause::invalid(field, &key.as_str().into(), problem));
        }
        for problem in syntax::label_value(text(value)) {
            causes.push(Cause::invalid(field, value, problem));
        }
    }
}

fn annotations(annotations: &Value, causes: &mut Vec<Cause>) {
    let Some(annotations) = annotations.as_object() else {
        return;
    };
    for key in annotations.keys() {
        for problem in syntax::label_key(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                problem,
            ));
        }
    }
    let size: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + text(value).len())
        .sum();
    if size as u64 > MAX_ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
}

fn owners(references: &Value, causes: &mut Vec<Cause>) {
    const FIELD: &str = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for reference in items(references) {
        let version = text(&reference["apiVersion"])
            .rsplit('/')
            .next()
            .unwrap_or_default();
        for (field, value, why) in [
            ("apiVersion", version, "version must not be empty"),
            ("kind", text(&reference["kind"]), "must not be empty"),
            ("name", text(&reference["name"]), "must not be empty"),
            ("uid", text(&reference["uid"]), "must not be empty"),
        ] {
            if value.is_empty() {
                causes.push(Cause::invalid(
                    format!("{FIELD}.{field}"),
                    &text(&reference[field]).into(),
                    why,
                ));
            }
        }
        if reference["apiVersion"] == "v1" && reference["kind"] == "Event" {
            causes.push(Cause::invalid_shown(
                FIELD,
                shown(reference),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if reference["controller"] == true {
            let name = format!("{}/{}", text(&reference["kind"]), text(&reference["name"]));
            match &controller {
                None => controller = Some(name),
                Some(first) => {
                    let all: Vec<String> = items(references).iter().map(shown).collect();
                    causes.push(Cause::invalid_shown(
                        FIELD,
                        format!("[{}]", all.join(",")),
                        format!(
                            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                        ),
                    ));
                }
            }
        }
    }
}

/// An owner reference with its fields in the order in which a real server shows them.
fn shown(reference: &Value) -> String {
    let empty = Map::new();
    let given = reference.as_object().unwrap_or(&empty);
    let fields: Vec<String> = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ]
    .into_iter()
    .filter_map(|name| Some(format!("\"{name}\":{}", given.get(name)?)))
    .collect();
    format!("{{{}}}", fields.join(","))
}

fn finalizers(finalizers: &Value, causes: &mut Vec<Cause>) {
    const FIELD: &str = "metadata.finalizers";
    let all = items(finalizers);
    for finalizer in all {
        for problem in syntax::label_key(text(finalizer)) {
            causes.push(Cause::invalid(FIELD, finalizer, problem));
        }
    }
    let has = |name: &str| all.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        causes.push(Cause::invalid(
            FIELD,
            finalizers,
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}
