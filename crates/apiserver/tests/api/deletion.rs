//! Deleting.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server};

#[tokio::test(start_paused = true)]
async fn an_object_without_finalizers_goes_at_once() {
    let server = Server::new();
    let created = server.config_map("a", "1").await;
    server
        .delete(&format!("{CONFIG_MAPS}/a"))
        .await
        .is(200)
        .shows(json!({
            "kind": "Status", "status": "Success",
            "details": { "name": "a", "kind": "configmaps", "uid": created.at("metadata.uid") },
        }));
    server.get(&format!("{CONFIG_MAPS}/a")).await.is(404);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.is(404);
}
