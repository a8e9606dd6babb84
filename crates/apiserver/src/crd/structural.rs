//! Whether a schema is structural: whether it says of every field what it is, so that unknown
//! fields can be told from known ones.

mod completeness;
mod defaults;
mod keywords;

use regex::Regex;
use serde_json::{Value, json};

use super::fields;
use crate::error::Cause;
use crate::path::Path;

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
        completeness::check(schema, schema, path, &mut causes);
    }
    if causes.is_empty() {
        keywords::check(schema, path, &mut causes);
    }
    if causes.is_empty() {
        defaults::check(schema, Level::Root, path, &mut causes);
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

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
