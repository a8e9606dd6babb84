//! What each kind does with the server-set parts of its objects: generation, status, and how it is deleted.

use jiff::Timestamp;
use serde_json::Value;

use crate::resource::{Origin, Resource};

/// The rules of one resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What counts as a change of the wanted state.
    pub(crate) generation: Generation,
    /// Whether an update may come without `metadata.resourceVersion`.
    pub(crate) allow_unconditional_update: bool,
    /// Whether a PUT of an object that does not exist creates it.
    pub(crate) create_on_update: bool,
    /// Whether DELETE answers the object rather than a `Status`.
    pub(crate) delete_returns_object: bool,
    /// Whether a deletion waits for a grace period.
    pub(crate) graceful_delete: bool,
    /// What happens to dependents where the client does not say.
    pub(crate) default_propagation: Propagation,
}

/// When `metadata.generation` rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Never: the kind has no generation of its own.
    Untracked,
    /// When any of these top-level fields changes.
    Fields(&'static [&'static str]),
    /// When anything but `metadata` changes.
    AllButMetadata,
    /// When anything but `metadata` and `status` changes.
    AllButMetadataAndStatus,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    /// As [`Propagation::Background`], but the owner stays until its dependents are gone.
    Foreground,
    Orphan,
}

/// The rules of `resource`.
pub(crate) fn rules(resource: &Resource) -> Rules {
    let custom = !matches!(resource.origin, Origin::BuiltIn { .. });
    let name = (resource.storage.group.as_str(), resource.plural.as_str());
    Rules {
        generation: match custom {
            true if resource.subresource("status").is_some() => Generation::AllButMetadataAndStatus,
            true => Generation::AllButMetadata,
            false => generation(name),
        },
        allow_unconditional_update: !custom && unconditional(name),
        create_on_update: matches!(
            name,
            ("coordination.k8s.io", "leases") | ("", "events" | "endpoints" | "limitranges")
        ),
        delete_returns_object: matches!(name, ("", "services" | "pods" | "serviceaccounts")),
        graceful_delete: name == ("", "pods"),
        default_propagation: match name {
            ("batch", "jobs") | ("", "replicationcontrollers") => Propagation::Orphan,
            _ => Propagation::Background,
        },
    }
}

fn generation(name: (&str, &str)) -> Generation {
    match name {
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("", "pods" | "replicationcontrollers")
        | ("batch", "jobs" | "cronjobs")
        | ("policy", "poddisruptionbudgets")
        | ("networking.k8s.io", "ingresses" | "ingressclasses" | "networkpolicies")
        | ("apiextensions.k8s.io", "customresourcedefinitions") => Generation::Fields(&["spec"]),
        _ => Generation::Untracked,
    }
}

fn unconditional(_name: (&str, &str)) -> bool {
    true
}

/// Sets what the server alone may set in an object that is about to be created.
///
/// Call it once the name and `metadata.uid` are set: some kinds write the uid elsewhere too.
pub(crate) fn prepare_for_create(resource: &Resource, object: &mut Value, _now: Timestamp) {
    if resource.subresource("status").is_some()
        && let Some(object) = object.as_object_mut()
    {
        object.remove("status");
    }
    match rules(resource).generation {
        Generation::Untracked => {}
        _ => object["metadata"]["generation"] = 1.into(),
    }
}

/// Restores in `new` what the endpoint may not change, and counts the generation.
///
/// `subresource` is `None` for the object itself, `Some("status")` for its status.
pub(crate) fn prepare_for_update(
    resource: &Resource,
    new: &mut Value,
    old: &Value,
    subresource: Option<&str>,
) {
    if resource.subresource("status").is_some()
        && let Some(object) = new.as_object_mut()
    {
        let (from_old, rest): (&[&str], _) = match subresource {
            None => (&["status"], false),
            Some("status") => (&[], true),
            Some(_) => (&[], false),
        };
        for field in from_old {
            restore(object, old, field);
        }
        if rest {
            let status = object.remove("status");
            *object = old.as_object().cloned().unwrap_or_default();
            object.remove("status");
            if let Some(status) = status {
                object.insert("status".to_owned(), status);
            }
        }
    }
    let generation = old["metadata"]["generation"].as_i64();
    let changed = match rules(resource).generation {
        Generation::Untracked => false,
        Generation::Fields(fields) => fields.iter().any(|f| new.get(f) != old.get(f)),
        Generation::AllButMetadata => differs_beyond(new, old, &["metadata"]),
        Generation::AllButMetadataAndStatus => differs_beyond(new, old, &["metadata", "status"]),
    };
    match generation {
        Some(generation) => {
            new["metadata"]["generation"] = (generation + i64::from(changed)).into();
        }
        None => {
            if let Some(metadata) = new["metadata"].as_object_mut() {
                metadata.remove("generation");
            }
        }
    }
}

fn restore(object: &mut serde_json::Map<String, Value>, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => object.insert(field.to_owned(), value.clone()),
        None => object.remove(field),
    };
}

fn differs_beyond(new: &Value, old: &Value, ignored: &[&str]) -> bool {
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .map(|o| {
                o.keys()
                    .filter(|k| !ignored.contains(&k.as_str()))
                    .cloned()
                    .collect()
            })
            .unwrap_or_default()
    };
    keys(new) != keys(old) || keys(new).iter().any(|k| new.get(k) != old.get(k))
}
