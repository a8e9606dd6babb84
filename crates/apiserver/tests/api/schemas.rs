//! Custom objects and the schema of their definition.

use serde_json::{Value, json};

use crate::seam::Server;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const FOOS: &str = "/apis/example.com/v1/namespaces/default/foos";

fn definition(spec: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "foos.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object", "properties": { "spec": { "type": "object", "properties": spec } },
                } },
                "selectableFields": [{ "jsonPath": ".spec.color" }],
            }],
        },
    })
}

async fn serving(spec: Value) -> Server {
    let server = Server::new();
    server.post(DEFINITIONS, definition(&spec)).await.is(201);
    server
}

fn foo(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "example.com/v1", "kind": "Foo", "metadata": { "name": name }, "spec": spec })
}

fn properties() -> Value {
    json!({
        "color": { "type": "string", "enum": ["red", "blue"] },
        "size": { "type": "integer", "minimum": 0 },
        "replicas": { "type": "integer", "default": 1 },
        "nested": { "type": "object", "properties": { "level": { "type": "string", "default": "low" } } },
        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        "maybe": { "type": "string", "nullable": true },
    })
}

#[tokio::test(start_paused = true)]
async fn objects_are_completed_and_pruned_by_their_schema() {
    let server = serving(properties()).await;
    let sent = json!({
        "nope": 1, "nested": { "zzz": 1 }, "free": { "any": [1] }, "maybe": null, "size": null,
    });
    let answer = server.post(FOOS, foo("a", &sent)).await.is(201);
    assert_eq!(
        *answer.at("spec"),
        json!({ "replicas": 1, "nested": { "level": "low" }, "free": { "any": [1] }, "maybe": null })
    );
    let warnings: Vec<_> = answer.headers.get_all("warning").iter().collect();
    assert_eq!(
        warnings,
        [
            "299 - \"unknown field \\\"spec.nested.zzz\\\"\"",
            "299 - \"unknown field \\\"spec.nope\\\"\"",
        ]
    );
    server
        .post(
            &format!("{FOOS}?fieldValidation=Strict"),
            foo("b", &json!({ "nope": 1 })),
        )
        .await
        .is(400);
}

#[tokio::test(start_paused = true)]
async fn objects_that_break_their_schema_are_refused() {
    let server = serving(properties()).await;
    server
        .post(FOOS, foo("a", &json!({ "color": "pink" })))
        .await
        .is(422)
        .shows(json!({
            "message": "Foo.example.com \"a\" is invalid: spec.color: Unsupported value: \"pink\": supported values: \"red\", \"blue\"",
        }));
    server
        .post(FOOS, foo("a", &json!({ "size": 1 })))
        .await
        .is(201);
    server
        .merge(&format!("{FOOS}/a"), json!({ "spec": { "size": -1 } }))
        .await
        .is(422)
        .shows(json!({
            "message": "Foo.example.com \"a\" is invalid: spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0",
        }));
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_became_stricter_does_not_stand_in_the_way() {
    let server = serving(properties()).await;
    server
        .post(FOOS, foo("a", &json!({ "size": 1 })))
        .await
        .is(201);
    let mut stricter = properties();
    stricter["size"]["minimum"] = 5.into();
    let path = format!("{DEFINITIONS}/foos.example.com");
    let mut changed = definition(&stricter);
    changed["metadata"]["resourceVersion"] = server
        .get(&path)
        .await
        .at("metadata.resourceVersion")
        .clone();
    server.put(&path, changed).await.is(200);
    let foo = format!("{FOOS}/a");
    server
        .merge(&foo, json!({ "spec": { "color": "red" } }))
        .await
        .is(200);
    server
        .merge(&foo, json!({ "spec": { "size": 2 } }))
        .await
        .is(422);
    server
        .merge(&foo, json!({ "spec": { "size": 7 } }))
        .await
        .is(200);
}

#[tokio::test(start_paused = true)]
async fn objects_are_selected_by_the_fields_that_the_definition_names() {
    let server = serving(properties()).await;
    for (name, color) in [
        ("a", json!("red")),
        ("b", json!("blue")),
        ("c", Value::Null),
    ] {
        server
            .post(FOOS, foo(name, &json!({ "color": color })))
            .await
            .is(201);
    }
    for (selector, names) in [
        ("spec.color=red", vec!["a"]),
        ("spec.color!=red", vec!["b", "c"]),
        ("spec.color=", vec!["c"]),
    ] {
        let list = server
            .get(&format!("{FOOS}?fieldSelector={selector}"))
            .await
            .is(200);
        assert_eq!(list.names(), names, "{selector}");
    }
    server
        .get(&format!("{FOOS}?fieldSelector=spec.size=1"))
        .await
        .is(400);
}

#[tokio::test(start_paused = true)]
async fn definitions_that_cannot_be_served_are_refused() {
    let server = Server::new();
    let path = "spec.validation.openAPIV3Schema.properties[spec].properties[x]";
    for (property, cause) in [
        (
            json!({}),
            format!("{path}.type: Required value: must not be empty for specified object fields"),
        ),
        (
            json!({ "type": "string", "default": 5 }),
            format!(
                "{path}.default: Invalid value: \"integer\":  in body must be of type string: \"integer\""
            ),
        ),
        (
            json!({ "type": "string", "anyOf": [{ "type": "string" }] }),
            format!("{path}.anyOf[0].type: Forbidden: must be empty to be structural"),
        ),
    ] {
        server
            .post(DEFINITIONS, definition(&json!({ "color": { "type": "string" }, "x": property })))
            .await
            .is(422)
            .shows(json!({
                "message": format!("CustomResourceDefinition.apiextensions.k8s.io \"foos.example.com\" is invalid: {cause}"),
            }));
    }
    let mut misnamed = definition(&properties());
    misnamed["metadata"]["name"] = "wrong".into();
    server.post(DEFINITIONS, misnamed).await.is(422).shows(json!({
        "message": "CustomResourceDefinition.apiextensions.k8s.io \"wrong\" is invalid: metadata.name: Invalid value: \"wrong\": must be spec.names.plural+\".\"+spec.group",
    }));
    let mut unstored = definition(&properties());
    unstored["spec"]["versions"][0]["storage"] = false.into();
    server.post(DEFINITIONS, unstored).await.is(422);
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_not_evaluated_are_spoken_of() {
    let server = Server::new();
    let once = json!({ "color": { "type": "string", "x-kubernetes-validations": [{ "rule": "self == oldSelf" }] } });
    let answer = server.post(DEFINITIONS, definition(&once)).await.is(201);
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(warning.contains("does not evaluate CEL rules"), "{warning}");
    // Where an object is so wrong that rules could not be checked anyway, it says so as a real server does.
    let wrong = server
        .post(FOOS, foo("a", &json!({ "color": 1 })))
        .await
        .is(422);
    let causes = wrong.at("details.causes").as_array().unwrap();
    assert_eq!(causes.len(), 2);
    assert_eq!(causes[1]["field"], "<nil>");
}
