//! Defaults: of definitions, and of custom objects by their schema.

use serde_json::{Value, json};

use crate::schema::{Additional, Schema};

/// Fills in what the author of a definition may leave out.
pub(crate) fn default_definition(definition: &mut Value) {
    let names = &mut definition["spec"]["names"];
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    let is_missing = |value: &Value| value.as_str().is_none_or(str::is_empty);
    if !kind.is_empty() {
        if is_missing(&names["singular"]) {
            names["singular"] = kind.to_lowercase().into();
        }
        if is_missing(&names["listKind"]) {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    let conversion = &mut definition["spec"]["conversion"];
    if conversion.is_null() {
        *conversion = json!({"strategy": "None"});
    }
    if let Some(Value::Object(service)) = conversion.pointer_mut("/webhook/clientConfig/service") {
        service.entry("port").or_insert(443.into());
    }
}

/// Fills in the defaults of a schema where their parent is there, and drops `null` where the
/// schema does not allow it.
pub(crate) fn default_object(object: &mut Value, schema: &Schema) {
    match object {
        Value::Object(fields) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default
                    && is_missing(fields.get(name), property)
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            fields.retain(|name, value| {
                let child = match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => property,
                    (None, Additional::Of(values)) => &**values,
                    (None, Additional::None | Additional::Any) => return true,
                };
                if is_missing(Some(value), child) {
                    match &child.default {
                        Some(default) => *value = default.clone(),
                        None => return !value.is_null(),
                    }
                }
                default_object(value, child);
                true
            });
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    if let Some(default) = &schema.default
                        && is_missing(Some(item), schema)
                    {
                        *item = default.clone();
                    }
                    default_object(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// Whether a value is absent, or `null` where that means the same.
fn is_missing(value: Option<&Value>, schema: &Schema) -> bool {
    // A node without a type takes null as it takes everything.
    match value {
        None => true,
        Some(Value::Null) => !schema.nullable,
        Some(_) => false,
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(&json!({
            "type": "object",
            "properties": {
                "spec": {"type": "object", "properties": {
                    "replicas": {"type": "integer", "default": 1},
                    "title": {"type": "string"},
                    "maybe": {"type": "string", "nullable": true},
                    "nested": {"type": "object", "properties": {
                        "level": {"type": "string", "default": "low"},
                        "deep": {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}},
                    }},
                    "ports": {"type": "array", "items": {"type": "object", "properties": {
                        "protocol": {"type": "string", "default": "TCP"},
                    }}},
                    "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                        "x": {"type": "integer", "default": 3},
                    }}},
                }},
            },
        }))
    }

    #[track_caller]
    fn check(spec: Value, expected: Value) {
        let mut object = json!({"spec": spec});
        default_object(&mut object, &schema());
        assert_eq!(object["spec"], expected);
    }

    #[test]
    fn defaults_appear_where_their_parent_is() {
        check(
            json!({"nested": {}, "ports": [{}], "map": {"a": {}}}),
            json!({
                "replicas": 1, "nested": {"level": "low"},
                "ports": [{"protocol": "TCP"}], "map": {"a": {"x": 3}},
            }),
        );
        check(
            json!({"nested": {"deep": {}}}),
            json!({"replicas": 1, "nested": {"level": "low", "deep": {"n": 7}}}),
        );
        let mut object = json!({});
        default_object(&mut object, &schema());
        assert_eq!(object, json!({}));
    }

    #[test]
    fn null_means_absent_unless_the_schema_allows_it() {
        check(
            json!({"replicas": null, "title": null, "maybe": null}),
            json!({"replicas": 1, "maybe": null}),
        );
    }

    #[test]
    fn definitions_get_their_names_and_their_conversion() {
        let mut definition = json!({"spec": {"names": {"kind": "FooBar", "plural": "foobars"}}});
        default_definition(&mut definition);
        assert_eq!(
            definition,
            json!({"spec": {
                "names": {"kind": "FooBar", "plural": "foobars", "singular": "foobar", "listKind": "FooBarList"},
                "conversion": {"strategy": "None"},
            }})
        );
    }

    fn spec() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        let names = prop::sample::select(vec![
            "replicas", "title", "maybe", "nested", "level", "deep", "n", "ports", "protocol",
            "map", "x",
        ]);
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..5).prop_map(|fields| {
                    Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn defaulting_twice_is_defaulting_once(spec in spec()) {
            let mut once = json!({"spec": spec});
            default_object(&mut once, &schema());
            let mut twice = once.clone();
            default_object(&mut twice, &schema());
            prop_assert_eq!(once, twice);
        }
    }
}
