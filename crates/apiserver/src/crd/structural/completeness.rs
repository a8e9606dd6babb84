//! What alternatives restrict must be described outside of them.

use serde_json::Value;

use super::list;
use crate::crd::fields;
use crate::error::Cause;
use crate::path::Path;

/// Fields that a junctor mentions must be described outside of it.
pub(super) fn check(root: &Value, schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    for keyword in ["anyOf", "allOf", "oneOf"] {
        for alternative in list(&schema[keyword]) {
            mentioned(root, alternative, path, causes);
        }
    }
    if schema["not"].is_object() {
        mentioned(root, &schema["not"], path, causes);
    }
    let properties = path.field("properties");
    for (name, property) in fields(&schema["properties"]).into_iter().flatten() {
        check(property, property, properties.key(name), causes);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            check(
                &schema[keyword],
                &schema[keyword],
                path.field(keyword),
                causes,
            );
        }
    }
}

fn mentioned(described: &Value, restriction: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let properties = path.field("properties");
    for (name, property) in fields(&restriction["properties"]).into_iter().flatten() {
        match &described["properties"][name] {
            Value::Null => {
                causes.push(Cause::required(
                    properties.key(name),
                    "because it is defined in",
                ));
            }
            child => mentioned(child, property, properties.key(name), causes),
        }
    }
    if restriction["items"].is_object() {
        match &described["items"] {
            Value::Null => causes.push(Cause::required(
                path.field("items"),
                "because it is defined in",
            )),
            child => mentioned(child, &restriction["items"], path.field("items"), causes),
        }
    }
    for keyword in ["anyOf", "allOf", "oneOf"] {
        for alternative in list(&restriction[keyword]) {
            mentioned(described, alternative, path, causes);
        }
    }
    if restriction["not"].is_object() {
        mentioned(described, &restriction["not"], path, causes);
    }
}
