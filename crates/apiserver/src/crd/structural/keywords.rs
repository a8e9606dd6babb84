//! Keywords that schemas of definitions cannot have, and those that say how lists merge.

use serde_json::Value;

use super::list;
use crate::crd::fields;
use crate::error::Cause;
use crate::path::Path;

/// Keywords that definitions must not have, and those of lists.
pub(super) fn check(schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    if schema["uniqueItems"] == true {
        causes.push(Cause::forbidden(
            path.field("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    for (keyword, why) in [
        ("$ref", "$ref is not supported"),
        ("definitions", "definitions is not supported"),
        ("dependencies", "dependencies is not supported"),
        ("patternProperties", "patternProperties is not supported"),
        ("additionalItems", "additionalItems is not supported"),
        ("id", "id is not supported"),
    ] {
        if !schema[keyword].is_null() {
            causes.push(Cause::forbidden(path.field(keyword), why));
        }
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    if !matches!(
        kind,
        "" | "object" | "array" | "string" | "integer" | "number" | "boolean"
    ) {
        causes.push(Cause::not_supported(
            path.field("type"),
            &kind.into(),
            &["array", "boolean", "integer", "number", "object", "string"],
        ));
    }
    lists(schema, path, causes);
    let properties = path.field("properties");
    for (name, property) in fields(&schema["properties"]).into_iter().flatten() {
        check(property, properties.key(name), causes);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            check(&schema[keyword], path.field(keyword), causes);
        }
    }
}

fn lists(schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let list_type = schema["x-kubernetes-list-type"].as_str();
    let keys = list(&schema["x-kubernetes-list-map-keys"]);
    if let Some(list_type) = list_type {
        if schema["type"] != "array" {
            causes.push(Cause::invalid(
                path.field("type"),
                &schema["type"].as_str().unwrap_or_default().into(),
                "must be array if x-kubernetes-list-type is specified",
            ));
        }
        if !matches!(list_type, "atomic" | "set" | "map") {
            causes.push(Cause::not_supported(
                path.field("x-kubernetes-list-type"),
                &list_type.into(),
                &["atomic", "map", "set"],
            ));
        }
    }
    if !keys.is_empty() && list_type != Some("map") {
        causes.push(Cause::invalid(
            path.field("x-kubernetes-list-type"),
            &list_type.into(),
            "must be map if x-kubernetes-list-map-keys is non-empty",
        ));
    }
    if list_type == Some("map") {
        let keys_path = path.field("x-kubernetes-list-map-keys");
        if keys.is_empty() {
            causes.push(Cause::required(
                keys_path,
                "must not be empty if x-kubernetes-list-type is map",
            ));
        }
        let items = &schema["items"];
        let items_path = path.field("items");
        if !items.is_null() && items["type"] != "object" {
            causes.push(Cause::invalid(
                items_path.field("type"),
                &items["type"].as_str().unwrap_or_default().into(),
                "must be object if parent array's x-kubernetes-list-type is map",
            ));
        }
        let properties = items_path.field("properties");
        for (index, key) in keys.iter().enumerate() {
            let name = key.as_str().unwrap_or_default();
            let property = &items["properties"][name];
            if property.is_null() {
                causes.push(Cause::invalid(
                    keys_path.index(index),
                    key,
                    "must be a name of a property in items.properties",
                ));
                continue;
            }
            if matches!(property["type"].as_str(), Some("array" | "object")) {
                causes.push(Cause::invalid(
                    properties.key(name).field("type"),
                    &property["type"],
                    "must be a scalar type if parent array's x-kubernetes-list-type is map",
                ));
            }
            if !list(&items["required"]).contains(key) && property["default"].is_null() {
                causes.push(Cause::required(
                    properties.key(name).field("default"),
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                ));
            }
            if keys[..index].contains(key) {
                causes.push(Cause::invalid(
                    keys_path,
                    &schema["x-kubernetes-list-map-keys"],
                    "must not contain duplicate entries",
                ));
            }
        }
    }
    if matches!(list_type, Some("set" | "map")) && schema["items"]["nullable"] == true {
        causes.push(Cause::forbidden(
            path.field("items").field("nullable"),
            "cannot be nullable when x-kubernetes-list-type is set or map",
        ));
    }
    if let Some(map_type) = schema["x-kubernetes-map-type"].as_str()
        && !matches!(map_type, "atomic" | "granular")
    {
        causes.push(Cause::not_supported(
            path.field("x-kubernetes-map-type"),
            &map_type.into(),
            &["atomic", "granular"],
        ));
    }
}
