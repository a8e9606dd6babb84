//! Pruning: custom resources keep only the fields that their schema names.

use serde_json::{Map, Value};

use crate::path::Path;
use crate::schema::{Additional, Schema};

/// What every resource has at its root, whether the schema says so or not.
const ROOT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops the fields of a custom resource that `schema` does not name, and tells their paths.
pub(crate) fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    value(object, Some(schema), Path::Root, IsRoot::Yes, &mut unknown);
    unknown.sort();
    unknown
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsRoot {
    Yes,
    No,
}

fn value(
    value: &mut Value,
    schema: Option<&Schema>,
    path: Path<'_>,
    root: IsRoot,
    unknown: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => object(fields, schema, path, root, unknown),
        Value::Array(items) => {
            let schema = match schema {
                Some(schema) if schema.preserve_unknown && schema.items.is_none() => return,
                Some(schema) => schema.items.as_deref(),
                None => None,
            };
            for (index, item) in items.iter_mut().enumerate() {
                self::value(item, schema, path.index(index), IsRoot::No, unknown);
            }
        }
        _ => {}
    }
}

fn object(
    fields: &mut Map<String, Value>,
    schema: Option<&Schema>,
    path: Path<'_>,
    root: IsRoot,
    unknown: &mut Vec<String>,
) {
    let is_resource = root == IsRoot::Yes || schema.is_some_and(|schema| schema.embedded_resource);
    fields.retain(|name, child| {
        if is_resource && ROOT.contains(&name.as_str()) {
            return true;
        }
        let property = schema.and_then(|schema| schema.properties.get(name));
        let additional = schema.map(|schema| &schema.additional);
        let below = match (property, additional) {
            (Some(property), _) => Some(property),
            (None, Some(Additional::Of(schema))) => Some(&**schema),
            (None, Some(Additional::Any)) => None,
            (None, _) if schema.is_some_and(|schema| schema.preserve_unknown) => return true,
            (None, _) => {
                unknown.push(path.field(name).to_string());
                return false;
            }
        };
        value(child, below, path.field(name), IsRoot::No, unknown);
        true
    });
}
