//! Creating, reading and changing objects.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server};

#[tokio::test(start_paused = true)]
async fn what_is_created_is_read_back_with_metadata_of_the_server() {
    let server = Server::new();
    let created = server.config_map("a", "v").await.shows(json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": { "name": "a", "namespace": "default" }, "data": { "k": "v" },
    }));
    for path in [
        "metadata.uid",
        "metadata.creationTimestamp",
        "metadata.resourceVersion",
    ] {
        assert!(created.at(path).is_string(), "{path}");
    }
    let read = server.get(&format!("{CONFIG_MAPS}/a")).await.is(200);
    assert_eq!(read.body, created.body);
    server
        .post(CONFIG_MAPS, json!({ "metadata": { "name": "a" } }))
        .await
        .is(409)
        .shows(json!({ "reason": "AlreadyExists", "message": "configmaps \"a\" already exists" }));
}
