//! Custom resources, from their definition to their end.

use serde_json::{Value, json};

use crate::seam::{Answer, Server};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition(plural: &str, kind: &str) -> Value {
    let schema = json!({ "openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": { "type": "object", "properties": {
                "size": { "type": "integer" },
                "replicas": { "type": "integer", "default": 1 },
            }},
            "status": { "type": "object", "properties": { "phase": { "type": "string" } } },
        },
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.example.com") },
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
            "versions": [
                { "name": "v1", "served": true, "storage": true, "schema": schema, "subresources": { "status": {} } },
                { "name": "v1alpha1", "served": true, "storage": false, "deprecated": true, "schema": schema },
            ],
        },
    })
}

fn widget(name: &str) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": name }, "spec": { "size": 1 },
    })
}

async fn with_widgets() -> Server {
    let server = Server::new();
    server
        .post(DEFINITIONS, definition("widgets", "Widget"))
        .await
        .is(201);
    server
}

/// The status of a condition of a definition.
fn condition<'a>(definition: &'a Answer, kind: &str) -> &'a Value {
    let conditions = definition.at("status.conditions").as_array().unwrap();
    let condition = conditions
        .iter()
        .find(|condition| condition["type"] == kind);
    &condition.unwrap()["status"]
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_served_once_it_is_answered() {
    let server = Server::new();
    assert_eq!(
        server.get(WIDGETS).await.is(404).body,
        "404 page not found\n"
    );
    server
        .post(DEFINITIONS, definition("widgets", "Widget"))
        .await
        .is(201);
    let established = server
        .get(&format!("{DEFINITIONS}/widgets.example.com"))
        .await
        .is(200);
    assert_eq!(condition(&established, "NamesAccepted"), "True");
    assert_eq!(condition(&established, "Established"), "True");
    assert_eq!(established.at("status.acceptedNames.plural"), "widgets");
    server.get(WIDGETS).await.is(200).shows(json!({
        "kind": "WidgetList", "apiVersion": "example.com/v1", "items": [], "metadata": { "continue": "" },
    }));
    server.get("/apis/example.com/v1").await.is(200);
}

#[tokio::test(start_paused = true)]
async fn custom_objects_say_what_they_are() {
    let server = with_widgets().await;
    let created = server
        .post(WIDGETS, widget("a"))
        .await
        .is(201)
        .shows(json!({
            "kind": "Widget", "metadata": { "generation": 1 }, "spec": { "size": 1, "replicas": 1 },
        }));
    let list = server.get(WIDGETS).await.is(200);
    assert_eq!(list.body["items"][0], created.body);
    server.put(&format!("{WIDGETS}/a"), widget("a")).await.is(422).shows(json!({
        "message": "widgets.example.com \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    }));
    let other = json!({ "metadata": { "uid": "00000000-0000-0000-0000-000000000001" } });
    let mut stale = created.body.clone();
    stale["metadata"]["uid"] = other["metadata"]["uid"].clone();
    let refused = server.put(&format!("{WIDGETS}/a"), stale).await.is(409);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("Key: /registry/example.com/widgets/default/a"),
        "{message}"
    );
    let strategic =
        format!("PATCH {WIDGETS}/a\nContent-Type: application/strategic-merge-patch+json");
    server.send(&strategic, "{}").await.is(415);
}

#[tokio::test(start_paused = true)]
async fn all_versions_are_of_one_object() {
    let server = with_widgets().await;
    server.post(WIDGETS, widget("a")).await.is(201);
    let old = WIDGETS.replace("/v1/", "/v1alpha1/");
    let from = server.0.resource_version();
    let mut watch = server.watch(&format!("{old}?resourceVersion={from}")).await;
    let read = server.get(&format!("{old}/a")).await.is(200);
    assert_eq!(
        read.headers["warning"],
        "299 - \"example.com/v1alpha1 Widget is deprecated; use example.com/v1 Widget\""
    );
    read.shows(json!({ "apiVersion": "example.com/v1alpha1", "spec": { "size": 1 } }));
    server
        .merge(&format!("{WIDGETS}/a"), json!({ "spec": { "size": 2 } }))
        .await
        .is(200);
    let event = watch.next().await.unwrap();
    assert_eq!(event["object"]["apiVersion"], "example.com/v1alpha1");
    assert_eq!(event["object"]["spec"]["size"], 2);
    let list = server.get(&old).await.is(200);
    assert_eq!(list.body["items"][0]["apiVersion"], "example.com/v1alpha1");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_definition_is_served_at_once() {
    let server = with_widgets().await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let mut changed = server.get(&path).await.body;
    changed["spec"]["versions"][1]["served"] = false.into();
    server.put(&path, changed).await.is(200);
    server
        .get(&WIDGETS.replace("/v1/", "/v1alpha1/"))
        .await
        .is(404);
    server.get(WIDGETS).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn names_are_taken_by_who_comes_first() {
    let server = with_widgets().await;
    let mut second = definition("gizmos", "Gizmo");
    second["spec"]["names"]["kind"] = "Widget".into();
    server.post(DEFINITIONS, second).await.is(201);
    let refused = server
        .get(&format!("{DEFINITIONS}/gizmos.example.com"))
        .await
        .is(200);
    assert_eq!(condition(&refused, "NamesAccepted"), "False");
    assert_eq!(condition(&refused, "Established"), "False");
    let message = &refused.at("status.conditions")[0]["message"];
    assert_eq!(message, "\"Widget\" is already in use");
    server.get("/apis/example.com/v1/gizmos").await.is(404);
}

#[tokio::test(start_paused = true)]
async fn a_definition_takes_its_objects_along() {
    let server = with_widgets().await;
    server.post(WIDGETS, widget("a")).await.is(201);
    let mut held = widget("b");
    held["metadata"]["finalizers"] = json!(["example.com/f"]);
    server.post(WIDGETS, held).await.is(201);
    let mut watch = server
        .watch(&format!(
            "{WIDGETS}?resourceVersion={}",
            server.0.resource_version()
        ))
        .await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let marked = server.delete(&path).await.is(200);
    assert_eq!(
        marked.at("metadata.finalizers"),
        &json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    assert_eq!(condition(&marked, "Terminating"), "True");
    // What a finalizer holds is still served, and holds the definition.
    assert_eq!(server.get(WIDGETS).await.is(200).names(), ["b"]);
    server.get(&path).await.is(200);
    server
        .post(WIDGETS, widget("c"))
        .await
        .is(405)
        .shows(json!({
            "message": "create not allowed while custom resource definition is terminating",
        }));
    server
        .merge(
            &format!("{WIDGETS}/b"),
            json!({ "metadata": { "finalizers": null } }),
        )
        .await
        .is(200);
    server.get(&path).await.is(404);
    assert_eq!(
        server.get(WIDGETS).await.is(404).body,
        "404 page not found\n"
    );
    let events: Vec<String> = watch.rest().await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event.split('@').next().unwrap())
        .collect();
    assert_eq!(kinds, ["DELETED a", "MODIFIED b", "DELETED b"]);
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_comes_again_begins_anew() {
    let server = with_widgets().await;
    let first = server.post(WIDGETS, widget("a")).await.is(201);
    server
        .delete(&format!("{DEFINITIONS}/widgets.example.com"))
        .await
        .is(200);
    server
        .post(DEFINITIONS, definition("widgets", "Widget"))
        .await
        .is(201);
    assert_eq!(server.get(WIDGETS).await.is(200).names(), [""; 0]);
    // What happened before is not known any more.
    let mut watch = server
        .watch(&format!("{WIDGETS}?resourceVersion={}", first.version()))
        .await;
    assert_eq!(watch.next().await.unwrap()["object"]["code"], 410);
}
