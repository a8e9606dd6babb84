use serde_json::json;

use super::*;

fn definition(change: impl FnOnce(&mut Value)) -> Value {
    let mut definition = json!({
        "metadata": {"name": "foos.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "a": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"},
                    }},
                }}},
            }],
        },
    });
    change(&mut definition);
    definition
}

#[track_caller]
fn check(change: impl FnOnce(&mut Value), expected: &[&str]) {
    let causes = validate_definition(&definition(change));
    let shown: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(shown, expected);
}

/// Checks a definition whose field `a` has another schema.
#[track_caller]
fn check_field(schema: Value, expected: &[(&str, &str)]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|(path, why)| {
            format!("spec.validation.openAPIV3Schema.properties[spec].properties[a]{path}: {why}")
        })
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(
        |crd| {
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
                ["a"] = schema;
        },
        &expected,
    );
}

#[test]
fn names_and_versions() {
    check(|_| {}, &[]);
    check(
        |crd| crd["spec"]["versions"][0]["schema"] = Value::Null,
        &["spec.versions[0].schema.openAPIV3Schema: Required value"],
    );
    check(
        |crd| crd["spec"]["scope"] = "World".into(),
        &[
            "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"",
        ],
    );
    check(
        |crd| crd["spec"]["names"]["listKind"] = "Foo".into(),
        &["spec.names.listKind: Invalid value: \"Foo\": kind and listKind may not be the same"],
    );
    check(
        |crd| crd["spec"]["conversion"] = json!({"strategy": "Webhook"}),
        &[
            "spec.conversion.strategy: Forbidden: kubewright-apiserver does not support conversion by webhooks",
        ],
    );
    let causes = validate_definition(&definition(|crd| {
        let version = crd["spec"]["versions"][0].clone();
        crd["spec"]["versions"] = json!([version, version]);
    }));
    let why: Vec<&str> = causes
        .iter()
        .map(|cause| cause.message.rsplit(": ").next().unwrap())
        .collect();
    assert_eq!(
        why,
        [
            "must contain unique version names",
            "must have exactly one version marked as storage version"
        ]
    );
}

#[test]
fn schemas_are_structural() {
    let required = "Required value: must not be empty for specified object fields";
    check_field(json!({}), &[(".type", required)]);
    check_field(json!({"x-kubernetes-int-or-string": true}), &[]);
    check_field(json!({"x-kubernetes-preserve-unknown-fields": true}), &[]);
    check_field(
        json!({"type": "array"}),
        &[(".items", "Required value: must be specified")],
    );
    check_field(
        json!({"type": "array", "items": {}}),
        &[(
            ".items.type",
            "Required value: must not be empty for specified array items",
        )],
    );
    check_field(
        json!({"type": "object", "x-kubernetes-embedded-resource": true}),
        &[(
            ".properties",
            "Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        )],
    );
    check_field(
        json!({"type": "object", "anyOf": [{"required": ["x"], "properties": {"x": {"minimum": 1}}}]}),
        &[(".properties[x]", "Required value: because it is defined in")],
    );
    check_field(
        json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        &[],
    );
    check_field(
        json!({"type": "string", "allOf": [{"nullable": true, "default": "x"}]}),
        &[
            (
                ".allOf[0].default",
                "Forbidden: must be undefined to be structural",
            ),
            (
                ".allOf[0].nullable",
                "Forbidden: must be false to be structural",
            ),
        ],
    );
    check_field(
        json!({"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
        &[(
            ".additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
        )],
    );
}

#[test]
fn lists_say_how_they_merge() {
    let list = |items: Value| json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]});
    check_field(
        list(json!({"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]})),
        &[],
    );
    check_field(
        list(json!({"type": "object", "properties": {"k": {"type": "string"}}})),
        &[(
            ".items.properties[k].default",
            "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        )],
    );
    check_field(
        list(json!({"type": "object"})),
        &[(
            ".x-kubernetes-list-map-keys[0]",
            "Invalid value: \"k\": must be a name of a property in items.properties",
        )],
    );
    check_field(
        json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        &[(
            ".uniqueItems",
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )],
    );
}

#[test]
fn defaults_fulfil_their_schema() {
    check_field(json!({"type": "string", "default": "x"}), &[]);
    check_field(
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "default": {"n": "x"}}),
        &[(
            ".default.n",
            "Invalid value: \"string\": n in body must be of type integer: \"string\"",
        )],
    );
    check_field(
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "default": {"m": 1}}),
        &[(
            ".default",
            "Invalid value: {\"m\":1}: must not have unknown fields: m",
        )],
    );
}

#[test]
fn columns_paths_and_warnings() {
    check(
        |crd| {
            crd["spec"]["versions"][0]["additionalPrinterColumns"] =
                json!([{"name": "A", "type": "text", "jsonPath": "spec.a"}]);
        },
        &[
            "spec.versions[0].additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
            "spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: \"spec.a\": must be a simple json path starting with .",
        ],
    );
    check(
        |crd| {
            crd["spec"]["versions"][0]["selectableFields"] =
                json!([{"jsonPath": ".spec.a"}, {"jsonPath": ".spec.o"}, {"jsonPath": ".spec.x"}]);
        },
        &[
            "spec.versions[0].selectableFields[1].jsonPath: Invalid value: \".spec.o\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
            "spec.versions[0].selectableFields[2].jsonPath: Invalid value: \".spec.x\": is an invalid path: does not refer to a valid field",
        ],
    );
    check(
        |crd| {
            crd["spec"]["versions"][0]["subresources"] = json!({"scale": {"specReplicasPath": ".status.n", "statusReplicasPath": ".status.n"}});
        },
        &[
            "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".status.n\": should be a json path under .spec",
        ],
    );
    check(
        |crd| crd["spec"]["versions"][0]["deprecationWarning"] = "x".into(),
        &[
            "spec.versions[0].deprecationWarning: Invalid value: \"x\": can only be set for deprecated versions",
        ],
    );
}

#[test]
fn what_identifies_a_definition_cannot_change() {
    let old = definition(|crd| {
        crd["status"] = json!({
            "storedVersions": ["v1"],
            "conditions": [{"type": "Established", "status": "True"}],
        });
    });
    assert_eq!(validate_definition_update(&old, &old), []);
    let mut new = old.clone();
    new["spec"]["scope"] = "Cluster".into();
    new["spec"]["versions"][0]["name"] = "v2".into();
    let fields: Vec<String> = validate_definition_update(&new, &old)
        .into_iter()
        .map(|cause| cause.field)
        .collect();
    assert_eq!(fields, ["spec.scope", "status.storedVersions[0]"]);
}

#[test]
fn deprecated_versions_point_at_better_ones() {
    let resources = resources_of(&definition(|crd| {
        let version = crd["spec"]["versions"][0].clone();
        let mut old = version.clone();
        old["name"] = "v1beta1".into();
        old["storage"] = false.into();
        old["deprecated"] = true.into();
        let mut hidden = old.clone();
        hidden["name"] = "v1alpha1".into();
        hidden["served"] = false.into();
        crd["spec"]["versions"] = json!([version, old, hidden]);
    }))
    .unwrap();
    let warnings: Vec<Option<String>> = resources
        .iter()
        .map(|resource| match &resource.origin {
            Origin::Custom(version) => version.deprecation_warning.clone(),
            Origin::BuiltIn { .. } => None,
        })
        .collect();
    assert_eq!(
        warnings,
        [
            None,
            Some("example.com/v1beta1 Foo is deprecated; use example.com/v1 Foo".to_owned()),
        ]
    );
}
