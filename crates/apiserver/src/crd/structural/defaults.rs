//! Defaults of schemas.

use serde_json::{Value, json};

use super::Level;
use crate::crd::fields;
use crate::error::Cause;
use crate::fields::prune;
use crate::path::Path;
use crate::schema::{Schema, validate_at};

/// Defaults must fulfil the schema that they stand in.
pub(super) fn check(schema: &Value, level: Level, path: Path<'_>, causes: &mut Vec<Cause>) {
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
        check(property, Level::Field, properties.key(name), causes);
    }
    for (keyword, level) in [
        ("items", Level::Item),
        ("additionalProperties", Level::Field),
    ] {
        if schema[keyword].is_object() {
            check(&schema[keyword], level, path.field(keyword), causes);
        }
    }
}
