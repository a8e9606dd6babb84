//! Lists, whole and in pages.

use crate::seam::{CONFIG_MAPS, Server};

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment() {
    let server = Server::new();
    for name in ["a", "b", "c"] {
        server.config_map(name, "1").await;
    }
    let first = server.get(&format!("{CONFIG_MAPS}?limit=2")).await.is(200);
    assert_eq!(first.names(), ["a", "b"]);
    assert_eq!(first.at("metadata.remainingItemCount"), 1);
    let token = first.at("metadata.continue").as_str().unwrap();
    server.config_map("bb", "1").await;
    server.delete(&format!("{CONFIG_MAPS}/c")).await.is(200);
    let second = server
        .get(&format!("{CONFIG_MAPS}?limit=2&continue={token}"))
        .await
        .is(200);
    assert_eq!(second.names(), ["c"]);
    assert_eq!(second.version(), first.version());
    assert!(second.at("metadata.continue").is_null());
}
