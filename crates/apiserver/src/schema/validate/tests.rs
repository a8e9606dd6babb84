use serde_json::json;

use super::*;

#[track_caller]
fn check(schema: Value, value: Value, expected: &[&str]) {
    let found = validate(&Schema::parse(&schema), &value, None);
    let found: Vec<String> = found
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(found, expected);
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

fn spec(fields: Value) -> Value {
    json!({"spec": fields})
}

#[test]
fn values_of_the_wrong_type_name_both_types() {
    let schema = object(json!({
        "n": {"type": "integer"}, "s": {"type": "string"},
        "m": {"type": "string", "nullable": true}, "x": {"x-kubernetes-int-or-string": true},
    }));
    check(
        schema.clone(),
        spec(json!({"n": "x"})),
        &["spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\""],
    );
    check(
        schema.clone(),
        spec(json!({"n": 1.5})),
        &["spec.n: Invalid value: \"number\": spec.n in body must be of type integer: \"number\""],
    );
    check(
        schema.clone(),
        spec(json!({"s": null, "m": null})),
        &["spec.s: Invalid value: \"null\": spec.s in body must be of type string: \"null\""],
    );
    check(
        schema.clone(),
        spec(json!({"x": true})),
        &[
            "spec.x: Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\"",
        ],
    );
    check(schema, spec(json!({"n": 2.0, "x": "50%"})), &[]);
}

#[test]
fn bounds_of_numbers_texts_lists_and_objects() {
    let schema = object(json!({
        "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 100, "multipleOf": 5},
        "t": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"},
        "l": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        "m": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        "e": {"type": "string", "enum": ["red", "green"]},
    }));
    for (value, expected) in [
        (
            json!({"n": 0}),
            "spec.n: Invalid value: 0: spec.n in body should be greater than 0",
        ),
        (
            json!({"n": 105}),
            "spec.n: Invalid value: 105: spec.n in body should be less than or equal to 100",
        ),
        (
            json!({"n": 7}),
            "spec.n: Invalid value: 7: spec.n in body should be a multiple of 5",
        ),
        (
            json!({"t": "TOO LONG"}),
            "spec.t: Too long: may not be more than 4 bytes",
        ),
        (
            json!({"t": "a"}),
            "spec.t: Invalid value: \"a\": spec.t in body should be at least 2 chars long",
        ),
        (
            json!({"t": "AB"}),
            "spec.t: Invalid value: \"AB\": spec.t in body should match '^[a-z]*$'",
        ),
        (
            json!({"l": []}),
            "spec.l: Invalid value: 0: spec.l in body should have at least 1 items",
        ),
        (
            json!({"l": [1, 2, 3]}),
            "spec.l: Too many: 3: must have at most 2 items",
        ),
        (
            json!({"m": {}}),
            "spec.m: Invalid value: 0: spec.m in body should have at least 1 properties",
        ),
        (
            json!({"e": "pink"}),
            "spec.e: Unsupported value: \"pink\": supported values: \"red\", \"green\"",
        ),
    ] {
        check(schema.clone(), spec(value), &[expected]);
    }
    check(
        schema,
        spec(json!({"n": 5, "t": "ab", "l": [1], "m": {"a": "b"}, "e": "red"})),
        &[],
    );
}

#[test]
fn required_fields_are_asked_for_where_their_parent_is() {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}},
    }});
    check(
        schema.clone(),
        json!({"spec": {}}),
        &["spec.size: Required value"],
    );
    check(schema, json!({}), &[]);
}

#[test]
fn alternatives_are_counted() {
    let schema = object(json!({"o": {
        "type": "string", "oneOf": [{"pattern": "^a"}, {"pattern": "b$"}], "not": {"pattern": "zz"},
    }}));
    check(
        schema.clone(),
        spec(json!({"o": "ab"})),
        &[
            "<nil>: Invalid value: \"\": \"spec.o\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ],
    );
    check(
        schema.clone(),
        spec(json!({"o": "azz"})),
        &["<nil>: Invalid value: \"\": \"spec.o\" must not validate the schema (not)"],
    );
    check(
        schema.clone(),
        spec(json!({"o": "c"})),
        &[
            "<nil>: Invalid value: \"\": \"spec.o\" must validate one and only one schema (oneOf). Found none valid",
            "spec.o: Invalid value: \"c\": spec.o in body should match '^a'",
        ],
    );
    check(schema, spec(json!({"o": "a"})), &[]);
}

#[test]
fn lists_that_are_sets_or_maps_have_no_duplicates() {
    let schema = object(json!({
        "s": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "m": {
            "type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        },
    }));
    check(
        schema.clone(),
        spec(json!({"m": [{"name": "x"}, {"name": "x"}, {"name": "x"}]})),
        &["spec.m[1]: Duplicate value: {\"name\":\"x\"}"],
    );
    check(
        schema.clone(),
        spec(json!({"s": ["a", "b", "a"]})),
        &["spec.s[2]: Duplicate value: \"a\""],
    );
    check(
        schema,
        spec(json!({"s": ["a"], "m": [{"name": "x"}, {}]})),
        &[],
    );
}

#[test]
fn what_was_wrong_and_did_not_change_is_let_be() {
    let schema = Schema::parse(&object(json!({
        "a": {"type": "string", "maxLength": 1}, "b": {"type": "string", "maxLength": 1},
    })));
    let old = spec(json!({"a": "long"}));
    assert_eq!(
        validate(&schema, &spec(json!({"a": "long", "b": "x"})), Some(&old)),
        []
    );
    assert_eq!(
        validate(&schema, &spec(json!({"a": "longer"})), Some(&old)).len(),
        1
    );
}
