//! Whether a custom object follows its definition.

use serde_json::Value;

use super::{CustomVersion, ScalePaths, at};
use crate::error::Cause;
use crate::path::Path;
use crate::resource::Resource;
use crate::schema::{Additional, Schema, validate};
use crate::selector::LabelSelector;

/// What is wrong with a custom object; `old` is what it was before, if it was.
pub(crate) fn validate_object(
    resource: &Resource,
    version: &CustomVersion,
    new: &Value,
    old: Option<&Value>,
) -> Vec<Cause> {
    // What is there already is in the stored version, which need not be that of the request.
    let mut causes = match old {
        None => type_meta(resource, new),
        Some(_) => Vec::new(),
    };
    causes.extend(validate(&version.schema, new, old));
    if let Some(scale) = &version.scale {
        replicas(new, &scale.spec_replicas, &mut causes);
        causes.extend(scale_status(new, scale));
    }
    embedded(&version.schema, new, Path::Root, &mut causes);
    note_unchecked_rules(version, &mut causes);
    causes
}

/// What is wrong with the status of a custom object.
pub(crate) fn validate_status(version: &CustomVersion, new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = validate(&version.schema, new, Some(old));
    if let Some(scale) = &version.scale {
        causes.extend(scale_status(new, scale));
    }
    note_unchecked_rules(version, &mut causes);
    causes
}

/// Objects that are broken so badly that CEL rules could not be evaluated are told so.
fn note_unchecked_rules(version: &CustomVersion, causes: &mut Vec<Cause>) {
    const BLOCKING: [&str; 5] = [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ];
    if causes.iter().any(|cause| BLOCKING.contains(&cause.reason)) && version.has_cel_rules() {
        causes.push(Cause::invalid(
            "<nil>",
            &Value::Null,
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ));
    }
}

fn type_meta(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (field, expected) in [
        ("kind", resource.kind.clone()),
        ("apiVersion", resource.api_version()),
    ] {
        if object[field] != expected {
            causes.push(Cause::invalid(
                field,
                &object[field],
                format!("must be {expected}"),
            ));
        }
    }
    causes
}

/// A count of replicas is not negative.
fn replicas(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(count) = at(object, path).and_then(Value::as_i64) else {
        return;
    };
    let complaint = if count < 0 {
        "should be a non-negative integer"
    } else if count > i64::from(i32::MAX) {
        "should be less than or equal to 2147483647"
    } else {
        return;
    };
    causes.push(Cause::invalid(path, &count.into(), complaint));
}

fn scale_status(object: &Value, scale: &ScalePaths) -> Vec<Cause> {
    let mut causes = Vec::new();
    replicas(object, &scale.status_replicas, &mut causes);
    if let Some(path) = &scale.label_selector
        && let Some(selector) = at(object, path).and_then(Value::as_str)
        && let Err(error) = LabelSelector::parse(selector)
    {
        causes.push(Cause::invalid(path.as_str(), &selector.into(), error));
    }
    causes
}

/// Whole objects inside a custom object say what they are.
fn embedded(schema: &Schema, value: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            if schema.embedded_resource {
                for field in ["apiVersion", "kind"] {
                    if fields
                        .get(field)
                        .and_then(Value::as_str)
                        .is_none_or(str::is_empty)
                    {
                        causes.push(Cause::required(path.field(field), "must not be empty"));
                    }
                }
            }
            for (name, value) in fields {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => embedded(property, value, path.field(name), causes),
                    (None, Additional::Of(values)) => {
                        embedded(values, value, path.key(name), causes);
                    }
                    (None, Additional::None | Additional::Any) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    embedded(schema, item, path.index(index), causes);
                }
            }
        }
        _ => {}
    }
}
