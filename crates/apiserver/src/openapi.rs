//! OpenAPI 3: what the server serves, with the schema of its objects.
//!
//! One document for each version of a group, and an index of them. They have what clients look
//! for: which operations there are and what parameters they take, the kinds by group and version,
//! and the schemas with their merge keys. They have no prose.

mod paths;
mod schemas;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::registry::Resources;
use crate::resource::{Origin, Resource};
use schemas::Schemas;

/// The index: where the document of each version of a group is.
///
/// The hash in an address changes when the document does.
pub(crate) fn index(served: &Resources) -> Value {
    let mut hashes: BTreeMap<String, DefaultHasher> = BTreeMap::new();
    for resource in served.iter() {
        let hasher = hashes.entry(base(resource)).or_default();
        env!("CARGO_PKG_VERSION").hash(hasher);
        (&resource.plural, &resource.kind).hash(hasher);
        for subresource in &resource.subresources {
            subresource.name.hash(hasher);
        }
        if let Origin::Custom(version) = &resource.origin {
            version.open_api.to_string().hash(hasher);
        }
    }
    let paths: Map<String, Value> = hashes
        .into_iter()
        .map(|(base, hasher)| {
            let address = format!("/openapi/v3/{base}?hash={:016X}", hasher.finish());
            (base, json!({ "serverRelativeURL": address }))
        })
        .collect();
    json!({ "paths": paths })
}

/// The document of a version of a group, named as in the index: `api/v1`, `apis/apps/v1`.
///
/// `None` if nothing of it is served.
pub(crate) fn document(served: &Resources, name: &str) -> Option<Value> {
    let resources: Vec<&Resource> = served
        .iter()
        .map(Arc::as_ref)
        .filter(|resource| base(resource) == name)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for resource in resources {
        paths::add(resource, &format!("/{name}"), &mut schemas, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": crate::version::GIT_VERSION },
        "paths": paths,
        "components": { "schemas": schemas.into_map() },
    }))
}

/// Where the paths of a resource start: `api/v1`, `apis/apps/v1`.
fn base(resource: &Resource) -> String {
    match resource.group.as_str() {
        "" => format!("api/{}", resource.version),
        group => format!("apis/{group}/{}", resource.version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn served() -> Arc<Resources> {
        Registry::kubernetes().resources()
    }

    #[test]
    fn the_index_leads_to_every_document() {
        let index = index(&served());
        let paths = index["paths"].as_object().unwrap();
        assert!(paths.contains_key("api/v1") && paths.contains_key("apis/apps/v1"));
        for (name, entry) in paths {
            let address = entry["serverRelativeURL"].as_str().unwrap();
            assert!(
                address.starts_with(&format!("/openapi/v3/{name}?hash=")),
                "{address}"
            );
            assert!(document(&served(), name).is_some(), "{name}");
        }
        assert!(document(&served(), "apis/nope/v1").is_none());
        assert_eq!(index, super::index(&served()), "the hash is stable");
    }

    /// All references in a document.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.push(reference);
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_of_the_same_document() {
        for name in [
            "api/v1",
            "apis/apps/v1",
            "apis/apiextensions.k8s.io/v1",
            "apis/authorization.k8s.io/v1",
        ] {
            let document = document(&served(), name).unwrap();
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 10, "{name}");
            for reference in found {
                let schema = reference.strip_prefix("#/components/schemas/").unwrap();
                assert!(
                    document["components"]["schemas"].get(schema).is_some(),
                    "{name}: {schema}"
                );
            }
        }
    }

    #[test]
    fn an_operation_names_its_kind_and_its_parameters() {
        let document = document(&served(), "apis/apps/v1").unwrap();
        let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
        let patch = &path["patch"];
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "apps", "version": "v1", "kind": "Deployment"})
        );
        assert_eq!(patch["x-kubernetes-action"], "patch");
        let parameters: Vec<&str> = patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert!(
            parameters.contains(&"dryRun") && parameters.contains(&"fieldValidation"),
            "{parameters:?}"
        );
        assert!(
            document["paths"]["/apis/apps/v1/deployments"]
                .get("post")
                .is_none()
        );
        assert_eq!(
            document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"]
                ["x-kubernetes-group-version-kind"]["kind"],
            "Scale"
        );
        let schema = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(
            schema["properties"]["spec"],
            json!({"allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}], "default": {}})
        );
    }
}
