//! Commands about custom resources, which take no strategic merge patches; and those that are
//! refused for all resources.

use serde_json::{Value, json};

use super::protobuf::{Message, field, metadata};
use super::{ANY_JSON, JSON, Kubectl, MERGE, NS, PROTOBUF, STRATEGIC, TABLE};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {}, "scale": {
                    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": { "size": { "type": "integer" } } },
                    "status": { "type": "object", "properties": { "size": { "type": "integer" } } },
                } } },
            }],
        },
    })
}

#[tokio::test(start_paused = true)]
async fn custom_resources_are_defined_applied_edited_and_deleted() {
    let k = Kubectl::new();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    k.json(&format!("POST {definitions}"), definition())
        .await
        .is(201);
    k.await_name(definitions, "widgets.example.com").await;

    // apply, for the first time and again
    let widget = format!("{WIDGETS}/w");
    let query = "fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
    k.openapi("apis/example.com/v1").await;
    k.get(&widget, JSON).await.is(404);
    let body = json!({ "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": { "name": "w", "namespace": "default" }, "spec": { "size": 1 } });
    k.json(&format!("POST {WIDGETS}?{query}"), body)
        .await
        .is(201)
        .of("Widget");
    let apply = format!("{widget}?{query}");
    let change = json!({ "spec": { "size": 2 } });
    let applied = k.patch(&apply, MERGE, change.clone()).await.is(200);
    assert_eq!(*applied.at("spec.size"), 2);
    k.patch(&apply, STRATEGIC, change).await.is(415);
    let typo = json!({ "spec": { "sise": 2 } });
    let refused = k.patch(&apply, MERGE, typo).await.is(422);
    assert!(
        refused
            .text("message")
            .contains(r#"unknown field "spec.sise""#)
    );

    // edit, label, scale, and patch --subresource=status
    for manager in ["kubectl-edit&fieldValidation=Strict", "kubectl-label"] {
        let path = format!("{widget}?fieldManager={manager}");
        let labels = json!({ "metadata": { "labels": { "a": "b" } } });
        k.patch(&path, MERGE, labels).await.is(200);
    }
    let scale = json!({ "spec": { "replicas": 3 } });
    let scaled = k.patch(&format!("{widget}/scale"), MERGE, scale).await;
    assert_eq!(*scaled.is(200).of("Scale").at("spec.replicas"), 3);
    let status = json!({ "status": { "size": 3 } });
    let path = format!("{widget}/status?fieldManager=kubectl-patch");
    let patched = k.patch(&path, MERGE, status).await.is(200);
    assert_eq!(*patched.at("status.size"), 3);
    assert_eq!(*patched.at("spec.size"), 3);

    // get and describe
    let list = k.get(&format!("{WIDGETS}?limit=500"), TABLE).await.is(200);
    assert_eq!(list.of("Table").at("rows")[0]["cells"][0], "w");
    let uid = k.get(&widget, JSON).await.is(200).text("metadata.uid");
    let events = format!(
        "{NS}/events?fieldSelector=involvedObject.name%3Dw%2CinvolvedObject.namespace%3Ddefault%2C\
         involvedObject.kind%3DWidget%2CinvolvedObject.uid%3D{uid}&limit=500"
    );
    k.get(&events, PROTOBUF).await.is(200).of("EventList");

    // delete, and the definition too
    let options = json!({ "propagationPolicy": "Background" });
    let deleted = k.json(&format!("DELETE {widget}"), options.clone()).await;
    assert_eq!(deleted.is(200).text("details.uid"), uid);
    k.await_name(WIDGETS, "w").await;
    let definition = format!("{definitions}/widgets.example.com");
    k.json(&format!("DELETE {definition}"), options)
        .await
        .is(200);
    k.get(&definition, JSON).await.is(404);
    k.get(WIDGETS, TABLE).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_process_is_refused_in_words() {
    let mut k = Kubectl::new();
    let pod = json!({ "metadata": { "name": "p" },
        "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    k.json(&format!("POST {NS}/pods"), pod).await.is(201);
    k.live().await;
    k.get(&format!("{NS}/pods/p"), ANY_JSON).await.is(200);
    // A websocket is tried first, then SPDY.
    for path in [
        "exec?command=ls&container=c&stderr=true&stdout=true",
        "attach?container=c&stdout=true",
        "portforward",
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} {NS}/pods/p/{path}");
            let refused = k.send(&request, ANY_JSON, "", Vec::new()).await;
            let refused = refused.is(501).of("Status");
            assert!(refused.text("message").contains("does not support"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn kubectl_create_token() {
    let k = Kubectl::new();
    let account = Message::new("v1", "ServiceAccount", &[field(1, metadata("robot"))]);
    k.protobuf(&format!("{NS}/serviceaccounts"), account)
        .await
        .is(201);
    let request = Message::new(
        "authentication.k8s.io/v1",
        "TokenRequest",
        &[field(1, metadata(""))],
    );
    let answer = k
        .protobuf(&format!("{NS}/serviceaccounts/robot/token"), request)
        .await
        .is(201)
        .of("TokenRequest");
    assert_eq!(answer.text("status.token").split('.').count(), 3);
}
