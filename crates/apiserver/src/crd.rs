//! Custom resources: what a `CustomResourceDefinition` adds to the server.

mod defaulting;
mod definition;
mod object;
mod structural;

use std::sync::Arc;

use serde_json::{Map, Value, json};

pub(crate) use self::defaulting::{default_definition, default_object};
pub(crate) use self::definition::{validate_definition, validate_definition_update};
pub(crate) use self::object::{validate_object, validate_status};
use crate::discovery::order;
use crate::error::Cause;
use crate::resource::{Origin, Resource, StorageId, Subresource};
use crate::schema::Schema;

/// One version of a custom resource, as its definition describes it.
#[derive(Clone, Debug)]
pub(crate) struct CustomVersion {
    pub(crate) schema: Schema,
    /// The version in which objects are stored.
    pub(crate) storage_version: String,
    /// The text of the `Warning` header for requests to a deprecated version.
    pub(crate) deprecation_warning: Option<String>,
    /// `additionalPrinterColumns`, as the definition has them.
    pub(crate) columns: Vec<Value>,
    /// The JSON paths by which objects can be selected, such as `.spec.color`.
    pub(crate) selectable_fields: Vec<String>,
    /// Where the scale subresource finds its values.
    pub(crate) scale: Option<ScalePaths>,
    /// The schema as the definition has it, for OpenAPI.
    pub(crate) open_api: Value,
}

/// The paths of a scale subresource, such as `.spec.replicas`.
#[derive(Clone, Debug)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

impl CustomVersion {
    /// Whether CEL rules hang on the schema; they are not evaluated.
    pub(crate) fn has_cel_rules(&self) -> bool {
        self.schema.any(&|node| node.has_cel_rules)
    }
}

/// The resources that a definition adds, one for each served version.
///
/// # Errors
///
/// What is wrong with the definition.
pub(crate) fn resources_of(definition: &Value) -> Result<Vec<Resource>, Vec<Cause>> {
    let causes = validate_definition(definition);
    if !causes.is_empty() {
        return Err(causes);
    }
    Ok(versions(definition)
        .filter(|version| version["served"] == true)
        .map(|version| resource(definition, version))
        .collect())
}

/// A warning for those who create or change a definition with rules that this server does not evaluate.
pub(crate) fn unevaluated_rules_warning(definition: &Value) -> Option<String> {
    let has_rules = versions(definition).any(|version| {
        Schema::parse(&version["schema"]["openAPIV3Schema"]).any(&|node| node.has_cel_rules)
    });
    has_rules.then(|| {
        "x-kubernetes-validations: kubewright-apiserver does not evaluate CEL rules; objects that break them are accepted"
            .to_owned()
    })
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
}

fn resource(definition: &Value, version: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    Resource {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: owned(&[
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        subresources: subresources(names, version),
        storage: StorageId {
            group: text(&spec["group"]),
            plural: text(&names["plural"]),
        },
        origin: Origin::Custom(Arc::new(custom_version(definition, version))),
        since: 0,
    }
}

fn subresources(names: &Value, version: &Value) -> Vec<Subresource> {
    let declared = &version["subresources"];
    let mut subresources = Vec::new();
    if declared["status"].is_object() {
        subresources.push(Subresource {
            name: "status".to_owned(),
            group: String::new(),
            version: String::new(),
            kind: text(&names["kind"]),
            verbs: owned(&["get", "patch", "update"]),
        });
    }
    if declared["scale"].is_object() {
        subresources.push(Subresource {
            name: "scale".to_owned(),
            group: "autoscaling".to_owned(),
            version: "v1".to_owned(),
            kind: "Scale".to_owned(),
            verbs: owned(&["get", "patch", "update"]),
        });
    }
    subresources
}

fn custom_version(definition: &Value, version: &Value) -> CustomVersion {
    let scale = &version["subresources"]["scale"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    CustomVersion {
        schema: Schema::parse(&version["schema"]["openAPIV3Schema"]),
        storage_version: versions(definition)
            .find(|version| version["storage"] == true)
            .map(|version| text(&version["name"]))
            .unwrap_or_default(),
        deprecation_warning: (version["deprecated"] == true)
            .then(|| deprecation_warning(definition, version)),
        columns: list(&version["additionalPrinterColumns"]),
        selectable_fields: list(&version["selectableFields"])
            .iter()
            .map(|field| text(&field["jsonPath"]))
            .collect(),
        scale: scale.is_object().then(|| ScalePaths {
            spec_replicas: text(&scale["specReplicasPath"]),
            status_replicas: text(&scale["statusReplicasPath"]),
            label_selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
        }),
        open_api: version["schema"]["openAPIV3Schema"].clone(),
    }
}

/// What clients of a deprecated version are told: the definition's words, or which version to use instead.
fn deprecation_warning(definition: &Value, version: &Value) -> String {
    if let Some(warning) = version["deprecationWarning"].as_str() {
        return warning.to_owned();
    }
    let group = text(&definition["spec"]["group"]);
    let kind = text(&definition["spec"]["names"]["kind"]);
    let deprecated = text(&version["name"]);
    let better = versions(definition)
        .filter(|version| version["served"] == true && version["deprecated"] != true)
        .filter_map(|version| version["name"].as_str())
        .filter(|name| order::versions(name, &deprecated).is_lt())
        .min_by(|a, b| order::versions(a, b));
    let mut warning = format!("{group}/{deprecated} {kind} is deprecated");
    if let Some(better) = better {
        warning.push_str(&format!("; use {group}/{better} {kind}"));
    }
    warning
}

/// The status of a definition that nothing has accepted yet.
pub(crate) fn initial_status(definition: &Value) -> Value {
    let stored: Vec<Value> = versions(definition)
        .filter(|version| version["storage"] == true)
        .take(1)
        .map(|version| version["name"].clone())
        .collect();
    json!({
        "conditions": null,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    })
}

/// Adds the storage version of a changed definition to those in which objects may be stored.
pub(crate) fn note_stored_version(definition: &mut Value) {
    let Some(storage) = versions(definition)
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
    else {
        return;
    };
    let Some(status) = definition["status"].as_object_mut() else {
        return;
    };
    let stored = status
        .entry("storedVersions")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Some(stored) = stored.as_array_mut()
        && !stored.contains(&storage)
    {
        stored.push(storage);
    }
}

/// The value at a simple path such as `.spec.replicas`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|name| !name.is_empty())
        .try_fold(object, |value, name| value.get(name))
}

/// The fields of an object; none where it is no object.
fn fields(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests;
