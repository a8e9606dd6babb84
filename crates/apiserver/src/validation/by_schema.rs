//! What the schema of a built-in kind demands: fields that are required, values that are enumerated.

use serde_json::Value;

use crate::error::Cause;
use crate::path::Path;
use crate::resource::Resource;
use crate::schema::{self, Additional, Schema};

pub(super) fn check(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let Some(schema) = schema::of(resource) else {
        return;
    };
    for (name, property) in &schema.properties {
        if matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        if let Some(value) = object.get(name) {
            check_value(property, value, Path::Root.field(name), causes);
        }
    }
}

fn check_value(schema: &Schema, value: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    if let Some(constraints) = &schema.constraints
        && !constraints.values.is_empty()
        && value.as_str().is_some_and(|text| !text.is_empty())
        && !constraints.values.contains(value)
    {
        let supported: Vec<&str> = constraints
            .values
            .iter()
            .filter_map(Value::as_str)
            .collect();
        causes.push(Cause::not_supported(path, value, &supported));
    }
    let definition = schema.reference.as_deref().unwrap_or_default();
    let schema = schema.resolve();
    match value {
        Value::Object(fields) => {
            for name in &schema.required {
                let is_missing = fields.get(name).is_none_or(is_missing);
                if is_missing && name != "metadata" && !may_be_empty(definition, name) {
                    causes.push(Cause::required(path.field(name), ""));
                }
            }
            for (name, value) in fields {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(_), _) if name == "metadata" => {}
                    (Some(property), _) => check_value(property, value, path.field(name), causes),
                    (None, Additional::Of(values)) => {
                        check_value(values, value, path.key(name), causes);
                    }
                    (None, Additional::None | Additional::Any) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check_value(schema, item, path.index(index), causes);
                }
            }
        }
        _ => {}
    }
}

/// Fields that the schema requires, and that a real server takes without a value all the same.
fn may_be_empty(definition: &str, field: &str) -> bool {
    let name = definition.rsplit('.').next().unwrap_or(definition);
    matches!(
        (name, field),
        ("CSINodeSpec", "drivers")
            | ("HTTPHeader" | "Sysctl", "value")
            | ("LimitRangeSpec", "limits")
    )
}

/// A required field that is there may be false, zero or an empty structure, but not an empty text.
fn is_missing(value: &Value) -> bool {
    value.is_null() || *value == ""
}
