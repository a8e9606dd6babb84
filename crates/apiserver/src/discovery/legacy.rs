//! Discovery as it was first: a document for each version of a group.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Catalogue, Group};
use crate::registry::Resources;
use crate::resource::{Resource, Subresource};

/// The answer of `/api`: the versions of the core group.
pub(crate) fn api_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    })
}

/// The answer of `/apis`: all groups but the core group.
pub(crate) fn groups(served: &Resources) -> Value {
    let catalogue = Catalogue::of(served);
    let groups: Vec<Value> = catalogue
        .groups
        .iter()
        .filter(|group| !group.name.is_empty())
        .map(about)
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// The answer of `/apis/GROUP`; `None` if nothing of the group is served.
pub(crate) fn group(served: &Resources, name: &str) -> Option<Value> {
    let catalogue = Catalogue::of(served);
    let mut group = about(catalogue.group(name)?);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// The answer of `/api/VERSION` and `/apis/GROUP/VERSION`; `None` if nothing of the version is served.
pub(crate) fn resources(served: &Resources, group: &str, version: &str) -> Option<Value> {
    let catalogue = Catalogue::of(served);
    let group = catalogue.group(group)?;
    let version = group.versions.iter().find(|v| v.name == version)?;
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": group.group_version(version),
        "resources": version.resources.iter().flat_map(|resource| entries(resource)).collect::<Vec<_>>(),
    });
    if !group.name.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    Some(list)
}

fn about(group: &Group<'_>) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| json!({ "groupVersion": group.group_version(version), "version": version.name }))
        .collect();
    json!({
        "name": group.name,
        "preferredVersion": versions.first(),
        "versions": versions,
    })
}

/// A resource, then its subresources.
fn entries(resource: &Resource) -> impl Iterator<Item = Value> {
    std::iter::once(about_resource(resource)).chain(
        resource
            .subresources
            .iter()
            .map(|subresource| about_subresource(resource, subresource)),
    )
}

fn about_resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
    // Only what is stored has it, and only what is stored can be watched.
    if resource.has_verb("watch") {
        entry["storageVersionHash"] = storage_version_hash(resource).into();
    }
    entry
}

fn about_subresource(resource: &Resource, subresource: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, subresource.name),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": subresource.kind,
        "verbs": subresource.verbs,
    });
    if !subresource.group.is_empty() {
        entry["group"] = subresource.group.as_str().into();
    }
    if !subresource.version.is_empty() {
        entry["version"] = subresource.version.as_str().into();
    }
    entry
}

/// Tells clients whether objects are still stored as they were; nothing else may be read from it.
fn storage_version_hash(resource: &Resource) -> String {
    let mut hasher = DefaultHasher::new();
    (&resource.storage, &resource.kind).hash(&mut hasher);
    STANDARD.encode(hasher.finish().to_be_bytes())
}
