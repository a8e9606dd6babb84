//! Whether a schema is structural: whether it says of every field what it is, so that unknown
//! fields can be told from known ones.

use regex::Regex;
use serde_json::{Value, json};

use super::fields;
use crate::error::Cause;
use crate::fields::prune;
use crate::path::Path;
use crate::schema::{Schema, validate_at};

/// Where in the schema a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps `schema` from being structural.
pub(super) fn check(schema: &Value, path: Path<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    node(schema, Level::Root, path, &mut causes);
    if causes.is_empty() {
        completeness(schema, schema, path, &mut causes);
    }
    if causes.is_empty() {
        keywords(schema, path, &mut causes);
    }
    if causes.is_empty() {
        defaults(schema, Level::Root, path, &mut causes);
    }
    causes.sort_by(|a, b| (&a.field, &a.message).cmp(&(&b.field, &b.message)));
    causes
}

fn node(schema: &Value, level: Level, path: Path<'_>, causes: &mut Vec<Cause>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let flag = |name: &str| schema[name] == true;
    let embedded = flag("x-kubernetes-embedded-resource");
    let preserves = flag("x-kubernetes-preserve-unknown-fields");
    let int_or_string = flag("x-kubernetes-int-or-string");

    if kind == "array" && schema["items"].is_null() {
        causes.push(Cause::required(path.field("items"), "must be specified"));
    }
    match &schema["items"] {
        items @ Value::Object(_) => node(items, Level::Item, path.field("items"), causes),
        Value::Array(_) => causes.push(Cause::forbidden(
            path.field("items"),
            "items must be a schema object and not an array",
        )),
        _ => {}
    }
    let properties = path.field("properties");
    for (name, property) in fields(&schema["properties"]).into_iter().flatten() {
        node(property, Level::Field, properties.key(name), causes);
    }
    let additional = &schema["additionalProperties"];
    if !additional.is_null() {
        let path = path.field("additionalProperties");
        if level == Level::Root {
            causes.push(Cause::forbidden(path, "must not be used at the root"));
        }
        if additional.is_object() {
            node(additional, Level::Field, path, causes);
        }
        if embedded {
            causes.push(Cause::forbidden(
                path,
                "must not be used if x-kubernetes-embedded-resource is set",
            ));
        }
        if *additional == false {
            causes.push(Cause::forbidden(
                path,
                "additionalProperties cannot be set to false",
            ));
        }
        if fields(&schema["properties"]).is_some_and(|fields| !fields.is_empty()) {
            causes.push(Cause::forbidden(
                path,
                "additionalProperties and properties are mutual exclusive",
            ));
        }
    }
    if int_or_string && preserves {
        causes.push(Cause::invalid(
            path.field("x-kubernetes-preserve-unknown-fields"),
            &true.into(),
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    if int_or_string && embedded {
        causes.push(Cause::invalid(
            path.field("x-kubernetes-embedded-resource"),
            &true.into(),
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    junctors(schema, path, causes);
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        causes.push(match kind {
            "" => Cause::required(path.field("type"), why),
            kind => Cause::invalid(path.field("type"), &kind.into(), why),
        });
    } else if kind.is_empty() && !int_or_string && !preserves {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        causes.push(Cause::required(path.field("type"), why));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        causes.push(Cause::invalid(
            path.field("type"),
            &kind.into(),
            "must be object at the root",
        ));
    }
    if level == Level::Root || embedded {
        for name in ["kind", "apiVersion"] {
            let property = &schema["properties"][name];
            if !property.is_null() && property["type"] != "string" {
                causes.push(Cause::invalid(
                    properties.key(name).field("type"),
                    &property["type"].as_str().unwrap_or_default().into(),
                    "must be string",
                ));
            }
        }
        let metadata = &schema["properties"]["metadata"];
        if !metadata.is_null() {
            self::metadata(metadata, level, properties.key("metadata"), causes);
        }
    }
    let bare = fields(&schema["properties"]).is_none_or(serde_json::Map::is_empty);
    if embedded && !preserves && bare {
        causes.push(Cause::required(
            properties,
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ));
    }
}

/// The schema of metadata may say something of names, and nothing else.
fn metadata(schema: &Value, level: Level, path: Path<'_>, causes: &mut Vec<Cause>) {
    if schema["type"] != "object" {
        causes.push(Cause::invalid(
            path.field("type"),
            &schema["type"].as_str().unwrap_or_default().into(),
            "must be object",
        ));
    }
    let others = fields(schema)
        .into_iter()
        .flatten()
        .any(|(keyword, value)| match keyword.as_str() {
            "type" | "default" => false,
            "properties" => fields(value)
                .into_iter()
                .flatten()
                .any(|(name, _)| !matches!(name.as_str(), "name" | "generateName")),
            _ => true,
        });
    if level == Level::Root && others {
        causes.push(Cause::forbidden(
            path,
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ));
    }
}

/// `anyOf`, `allOf`, `oneOf`, `not` and `pattern`.
fn junctors(schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    for keyword in ["anyOf", "allOf", "oneOf"] {
        let path = path.field(keyword);
        for (index, alternative) in list(&schema[keyword]).iter().enumerate() {
            let first_all_of = keyword == "allOf" && index == 0;
            let allowed = is_int_or_string(&schema[keyword]) && keyword == "anyOf"
                || first_all_of && is_int_or_string(&alternative["anyOf"]);
            match allowed {
                true if keyword == "anyOf" => {}
                true => {
                    let mut rest = alternative.clone();
                    rest["anyOf"] = Value::Null;
                    nested(&rest, path.index(index), causes);
                }
                false => nested(alternative, path.index(index), causes),
            }
        }
    }
    if schema["not"].is_object() {
        nested(&schema["not"], path.field("not"), causes);
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = Regex::new(pattern)
    {
        causes.push(Cause::invalid(
            path.field("pattern"),
            &pattern.into(),
            format!("must be a valid regular expression, but isn't: {error}"),
        ));
    }
}

/// A schema inside a junctor restricts values; what they are is said outside.
fn nested(schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    junctors(schema, path, causes);
    if schema["items"].is_object() {
        nested(&schema["items"], path.field("items"), causes);
    }
    let properties = path.field("properties");
    for (name, property) in fields(&schema["properties"]).into_iter().flatten() {
        nested(property, properties.key(name), causes);
    }
    for (keyword, why) in [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-embedded-resource",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-int-or-string",
            "must be false to be structural",
        ),
        (
            "x-kubernetes-list-map-keys",
            "must be empty to be structural",
        ),
        (
            "x-kubernetes-list-type",
            "must be undefined to be structural",
        ),
        (
            "x-kubernetes-map-type",
            "must be undefined to be structural",
        ),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        let value = &schema[keyword];
        if !value.is_null() && *value != false && *value != "" && *value != json!([]) {
            causes.push(Cause::forbidden(path.field(keyword), why));
        }
    }
    if !schema["properties"]["metadata"].is_null() {
        causes.push(Cause::forbidden(
            properties.key("metadata"),
            "must not be specified in a nested context",
        ));
    }
}

/// Whether alternatives are the one pattern by which older schemas say "integer or string".
fn is_int_or_string(alternatives: &Value) -> bool {
    *alternatives == json!([{"type": "integer"}, {"type": "string"}])
}

/// Fields that a junctor mentions must be described outside of it.
fn completeness(root: &Value, schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
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
        completeness(property, property, properties.key(name), causes);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            completeness(
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

/// Keywords that definitions must not have, and those of lists.
fn keywords(schema: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
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
        keywords(property, properties.key(name), causes);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            keywords(&schema[keyword], path.field(keyword), causes);
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

/// Defaults must fulfil the schema that they stand in.
fn defaults(schema: &Value, level: Level, path: Path<'_>, causes: &mut Vec<Cause>) {
    let default = &schema["default"];
    if !default.is_null() {
        let path = path.field("default");
        let parsed = Schema::parse(schema);
        let mut pruned = json!({"value": default});
        let unknown = prune(
            &mut pruned,
            &Schema::parse(&json!({"properties": {"value": schema}})),
        );
        if level == Level::Root {
            causes.push(Cause::forbidden(path, "must not be set at the root"));
        } else if !unknown.is_empty() {
            causes.push(Cause::invalid(
                path,
                default,
                format!(
                    "must not have unknown fields: {}",
                    unknown.join(", ").replace("value.", "")
                ),
            ));
        } else {
            let wrong = validate_at(&parsed, default, Path::Root);
            causes.extend(wrong.into_iter().map(|cause| Cause {
                field: match cause.field.as_str() {
                    "<nil>" => path.to_string(),
                    below => format!("{path}.{below}"),
                },
                ..cause
            }));
        }
    }
    let properties = path.field("properties");
    for (name, property) in fields(&schema["properties"]).into_iter().flatten() {
        defaults(property, Level::Field, properties.key(name), causes);
    }
    for (keyword, level) in [
        ("items", Level::Item),
        ("additionalProperties", Level::Field),
    ] {
        if schema[keyword].is_object() {
            defaults(&schema[keyword], level, path.field(keyword), causes);
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
