//! Patches, as far as they are more than what they do to JSON.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server};

const A: &str = "/api/v1/namespaces/default/configmaps/a";

#[tokio::test(start_paused = true)]
async fn a_patch_does_not_make_another_object() {
    let server = Server::new();
    let created = server.config_map("a", "1").await;
    let uid = "00000000-0000-0000-0000-000000000001";
    server.merge(A, json!({ "metadata": { "uid": uid } })).await.is(422).shows(json!({
        "reason": "Invalid",
        "message": format!("ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"{uid}\": field is immutable"),
    }));
    server
        .merge(A, json!({ "metadata": { "name": "b" } }))
        .await
        .is(400)
        .shows(json!({
            "message": "the name of the object (b) does not match the name on the URL (a)",
        }));
    server
        .merge(A, json!({ "metadata": { "namespace": "b" } }))
        .await
        .is(400);
    server
        .merge(A, json!({ "metadata": { "creationTimestamp": null } }))
        .await
        .is(200);
    assert_eq!(server.get(A).await.body, created.body);
}

#[tokio::test(start_paused = true)]
async fn the_object_comes_before_the_patch() {
    let server = Server::new();
    server
        .merge(&format!("{CONFIG_MAPS}/nope"), json!({ "data": 1 }))
        .await
        .is(404);
    server.config_map("a", "1").await;
    server.merge(A, json!({ "data": 1 })).await.is(422);
    let patch = |kind: &str| format!("PATCH {A}\nContent-Type: application/{kind}+json");
    server.send(&patch("merge-patch"), "{nope").await.is(400);
    server
        .send(
            &patch("json-patch"),
            r#"[{"op":"remove","path":"/data/nope"}]"#,
        )
        .await
        .is(422);
    server
        .send(
            &patch("json-patch"),
            r#"[{"op":"replace","path":"/data/k","value":"2"}]"#,
        )
        .await
        .is(200)
        .shows(json!({ "data": { "k": "2" } }));
    server
        .send(
            &patch("strategic-merge-patch"),
            r#"{"data":{"$patch":"replace","l":"3"}}"#,
        )
        .await
        .is(200)
        .shows(json!({ "data": { "k": null, "l": "3" } }));
}
