//! Watches.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server};

#[tokio::test(start_paused = true)]
async fn a_watch_tells_every_change_in_order() {
    let server = Server::new();
    let list = server.get(CONFIG_MAPS).await;
    let from = list.version();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={from}"))
        .await;
    server.config_map("a", "1").await;
    server
        .merge(&format!("{CONFIG_MAPS}/a"), json!({ "data": { "k": "2" } }))
        .await
        .is(200);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.is(200);
    assert_eq!(
        watch.lines(3).await,
        [
            format!("ADDED a@{}", from + 1),
            format!("MODIFIED a@{}", from + 2),
            format!("DELETED a@{}", from + 3),
        ]
    );
    assert!(watch.is_quiet().await);
}
