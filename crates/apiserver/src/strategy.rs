//! What each kind does with the server-set parts of its objects: generation, status, and how it is deleted.

mod addresses;
mod prepare;
mod quality;

pub(crate) use self::addresses::allocate_addresses;
pub(crate) use self::prepare::{prepare_for_create, prepare_for_update};
use crate::crd;
use crate::resource::{Origin, Resource};

use serde_json::Value;

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
    /// When what stands at any of these JSON pointers changes.
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
    let is_custom = matches!(resource.origin, Origin::Custom(_));
    let name = (resource.storage.group.as_str(), resource.plural.as_str());
    Rules {
        generation: match is_custom {
            true if resource.subresource("status").is_some() => Generation::AllButMetadataAndStatus,
            true => Generation::AllButMetadata,
            false => generation(name),
        },
        allow_unconditional_update: !is_custom && allows_unconditional_update(name),
        create_on_update: !is_custom && creates_on_update(name),
        delete_returns_object: matches!(
            name,
            (
                "",
                "persistentvolumeclaims"
                    | "persistentvolumes"
                    | "pods"
                    | "podtemplates"
                    | "resourcequotas"
                    | "serviceaccounts"
                    | "services"
            )
        ),
        graceful_delete: name == ("", "pods"),
        default_propagation: match name {
            ("batch", "jobs") | ("", "replicationcontrollers") => Propagation::Orphan,
            _ => Propagation::Background,
        },
    }
}

fn generation(name: (&str, &str)) -> Generation {
    match name {
        ("", "pods" | "replicationcontrollers")
        | ("apiextensions.k8s.io", "customresourcedefinitions")
        | ("apps", "daemonsets" | "deployments" | "replicasets" | "statefulsets")
        | ("batch", "cronjobs" | "jobs")
        | ("flowcontrol.apiserver.k8s.io", _)
        | ("networking.k8s.io", "ingressclasses" | "ingresses" | "networkpolicies")
        | ("policy", "poddisruptionbudgets")
        | ("resource.k8s.io", "deviceclasses" | "resourceslices")
        | ("storage.k8s.io", "csidrivers") => Generation::Fields(&["/spec"]),
        ("admissionregistration.k8s.io", _) => Generation::Fields(&["/spec", "/webhooks"]),
        ("", "podtemplates") => Generation::Fields(&["/template"]),
        ("discovery.k8s.io", "endpointslices") => {
            Generation::Fields(&["/addressType", "/endpoints", "/ports", "/metadata/labels"])
        }
        // It begins with 1 and stays there.
        ("scheduling.k8s.io", "priorityclasses") => Generation::Fields(&[]),
        _ => Generation::Untracked,
    }
}

fn allows_unconditional_update(name: (&str, &str)) -> bool {
    !matches!(
        name,
        (
            "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io",
            _
        ) | ("coordination.k8s.io", "leases")
            | ("node.k8s.io", "runtimeclasses")
            | ("policy", "poddisruptionbudgets")
            | (
                "storage.k8s.io",
                "csidrivers" | "csinodes" | "csistoragecapacities" | "volumeattachments"
            )
    )
}

fn creates_on_update(name: (&str, &str)) -> bool {
    matches!(
        name,
        ("", "endpoints" | "events" | "limitranges")
            | ("coordination.k8s.io", "leases")
            | ("rbac.authorization.k8s.io", _)
    )
}

/// Mends what a server mends silently in an object that was sent, and says what it mended or
/// what the client should know.
///
/// Returns the texts of warnings for the `Warning` header.
pub(crate) fn review(resource: &Resource, object: &mut Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Origin::Custom(version) = &resource.origin {
        warnings.extend(version.deprecation_warning.clone());
    }
    warnings.extend(unite_owners(object));
    if resource.group == "apiextensions.k8s.io" {
        warnings.extend(crd::unevaluated_rules_warning(object));
    }
    if resource.group == "admissionregistration.k8s.io" {
        let kind = &resource.kind;
        warnings.push(format!(
            "kubewright-apiserver keeps a {kind} but does not act on it: requests are neither changed nor refused by it"
        ));
    }
    warnings
}

/// Keeps the first of several references to one owner.
fn unite_owners(object: &mut Value) -> Option<String> {
    let references = object
        .get_mut("metadata")?
        .get_mut("ownerReferences")?
        .as_array_mut()?;
    let mut seen: Vec<Value> = Vec::new();
    let mut twice: Vec<String> = Vec::new();
    references.retain(|reference| {
        let is_new = !seen.contains(reference);
        if is_new {
            seen.push(reference.clone());
        } else {
            let uid = reference["uid"].as_str().unwrap_or_default().to_owned();
            if !twice.contains(&uid) {
                twice.push(uid);
            }
        }
        is_new
    });
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, \
             and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}

#[cfg(test)]
mod tests;
