//! Aggregated discovery: all groups, versions and resources in one document.

use serde_json::{Value, json};

use super::Catalogue;
use crate::representation::Accept;
use crate::resource::{Origin, Resource, Subresource};

/// The `Content-Type` of aggregated discovery, by which clients tell it from the legacy one.
pub(crate) const CONTENT_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether an `Accept` header asks for it, before or instead of the legacy one.
pub(crate) fn wanted(accept: Option<&str>) -> bool {
    let accept = Accept::parse(accept.unwrap_or_default());
    let first = accept.ranges().find(|range| {
        let aggregated = range.parameter("as").is_some();
        !aggregated || (range.parameter("v") == Some("v2") && range.includes("application/json"))
    });
    first.is_some_and(|range| {
        range.parameter("g") == Some("apidiscovery.k8s.io")
            && range.parameter("as") == Some("APIGroupDiscoveryList")
    })
}

/// The groups that `includes` takes.
pub(super) fn list(catalogue: &Catalogue<'_>, includes: impl Fn(&str) -> bool) -> Value {
    let items: Vec<Value> = catalogue
        .groups
        .iter()
        .filter(|group| includes(group.name))
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|version| {
                    json!({
                        "version": version.name,
                        "resources": version.resources.iter().map(|r| about(r)).collect::<Vec<_>>(),
                        "freshness": "Current",
                    })
                })
                .collect();
            let metadata = match group.name {
                "" => json!({}),
                name => json!({ "name": name }),
            };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn about(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": response_kind(resource, None),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    if !resource.subresources.is_empty() {
        let subresources: Vec<Value> = resource
            .subresources
            .iter()
            .map(|subresource| {
                json!({
                    "subresource": subresource.name,
                    "responseKind": response_kind(resource, Some(subresource)),
                    "verbs": subresource.verbs,
                })
            })
            .collect();
        entry["subresources"] = subresources.into();
    }
    entry
}

/// The kind that answers; an empty group and version are those of the document.
fn response_kind(resource: &Resource, subresource: Option<&Subresource>) -> Value {
    let (group, version, kind) = match subresource {
        None => ("", "", &resource.kind),
        Some(subresource) => (
            subresource.group.as_str(),
            subresource.version.as_str(),
            &subresource.kind,
        ),
    };
    // Custom resources say in full what built-in ones leave to the document.
    match (&resource.origin, version) {
        (Origin::Custom(_), "") => {
            json!({ "group": resource.group, "version": resource.version, "kind": kind })
        }
        _ => json!({ "group": group, "version": version, "kind": kind }),
    }
}
