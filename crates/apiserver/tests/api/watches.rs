//! Watches.

use std::time::Duration;

use kubewright_apiserver::StreamingLists;
use serde_json::json;
use tokio::time::Instant;

use crate::seam::{CONFIG_MAPS, Server, at};

const A: &str = "/api/v1/namespaces/default/configmaps/a";
const STREAMING: &str =
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

async fn set(server: &Server, name: &str, data: &str) {
    let patch = json!({ "data": { "k": data } });
    server
        .merge(&format!("{CONFIG_MAPS}/{name}"), patch)
        .await
        .is(200);
}

async fn label(server: &Server, name: &str, label: Option<&str>) {
    let patch = json!({ "metadata": { "labels": { "l": label } } });
    server
        .merge(&format!("{CONFIG_MAPS}/{name}"), patch)
        .await
        .is(200);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_every_change_in_order() {
    let server = Server::new();
    let from = server.get(CONFIG_MAPS).await.version();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={from}"))
        .await;
    assert_eq!(watch.code, 200);
    server.config_map("a", "1").await;
    set(&server, "a", "2").await;
    server.delete(A).await.is(200);
    let added = watch.next().await.unwrap();
    assert_eq!(at(&added, "object.kind"), "ConfigMap");
    assert_eq!(at(&added, "object.apiVersion"), "v1");
    assert_eq!(at(&added, "object.data.k"), "1");
    assert_eq!(
        watch.line().await.unwrap(),
        format!("MODIFIED a@{}", from + 2)
    );
    let deleted = watch.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(
        at(&deleted, "object.data.k"),
        "2",
        "the last state of the object"
    );
    assert_eq!(
        at(&deleted, "object.metadata.resourceVersion"),
        &(from + 3).to_string()
    );
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_begin_with_the_state() {
    let server = Server::new();
    for name in ["a", "b"] {
        server.config_map(name, "1").await;
    }
    let now = server.0.resource_version();
    for query in ["", "resourceVersion=0", "resourceVersion="] {
        let mut watch = server.watch(&format!("{CONFIG_MAPS}?{query}")).await;
        assert_eq!(
            watch.lines(2).await,
            [format!("ADDED a@{}", now - 1), format!("ADDED b@{now}")]
        );
        assert!(watch.is_quiet().await, "{query}");
    }
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={now}"))
        .await;
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_go_on_from_any_remembered_version() {
    let server = Server::new();
    let from = server.config_map("a", "1").await.version();
    set(&server, "a", "2").await;
    server.config_map("b", "1").await;
    server.delete(A).await.is(200);
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={from}"))
        .await;
    assert_eq!(
        watch.lines(3).await,
        [
            format!("MODIFIED a@{}", from + 1),
            format!("ADDED b@{}", from + 2),
            format!("DELETED a@{}", from + 3),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_a_forgotten_version_is_told_so_and_ends() {
    let server = Server::new();
    let from = server.config_map("a", "1").await.version();
    server.config_map("b", "1").await;
    server.0.compact(from + 1);
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={from}"))
        .await;
    assert_eq!(watch.code, 200);
    let error = watch.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(
        error["object"],
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("too old resource version: {from} ({})", from + 1),
            "reason": "Expired", "code": 410,
        })
    );
    assert!(watch.next().await.is_none());
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={}", from + 1))
        .await;
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_compaction_does_not_disturb_watches_that_are_up_to_date() {
    let server = Server::new();
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?")).await;
    for round in 0..3 {
        server.0.compact(server.0.resource_version());
        server
            .post(
                "/api/v1/namespaces/default/secrets",
                json!({ "metadata": { "generateName": "s-" } }),
            )
            .await
            .is(201);
        server.0.compact(server.0.resource_version());
        let version = server.config_map(&format!("c{round}"), "1").await.version();
        assert_eq!(
            watch.line().await.unwrap(),
            format!("ADDED c{round}@{version}")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_the_future_waits_for_it() {
    let server = Server::new();
    let now = server.0.resource_version();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={}", now + 1))
        .await;
    server.config_map("a", "1").await;
    assert!(watch.is_quiet().await);
    server.config_map("b", "1").await;
    assert_eq!(watch.line().await.unwrap(), format!("ADDED b@{}", now + 2));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_no_number_is_refused() {
    let server = Server::new();
    server.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=abc")).await.is(500).shows(json!({
        "kind": "Status", "reason": null,
        "message": "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
    }));
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_cleanly_when_its_time_is_up() {
    let server = Server::new();
    let start = Instant::now();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?timeoutSeconds=7"))
        .await;
    assert_eq!(watch.rest().await, [""; 0]);
    assert_eq!(start.elapsed().as_secs(), 7);
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?")).await;
    watch.rest().await;
    let lasted = start.elapsed() - Duration::from_secs(7);
    let minutes = Duration::from_secs(30 * 60)..=Duration::from_secs(60 * 60);
    assert!(minutes.contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_at_the_end() {
    let server = Server::new();
    let now = server.0.resource_version();
    let path = format!("{CONFIG_MAPS}?resourceVersion={now}&timeoutSeconds=150");
    let mut plain = server.watch(&path).await;
    let mut watch = server
        .watch(&format!("{path}&allowWatchBookmarks=true"))
        .await;
    let start = Instant::now();
    let bookmark = watch.next().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(
        bookmark,
        json!({ "type": "BOOKMARK", "object": {
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": { "resourceVersion": now.to_string() },
        }})
    );
    // What other kinds do moves bookmarks too.
    server
        .post(
            "/api/v1/namespaces/default/secrets",
            json!({ "metadata": { "name": "s" } }),
        )
        .await
        .is(201);
    assert_eq!(
        watch.line().await.unwrap(),
        format!("BOOKMARK @{}", now + 1)
    );
    assert_eq!(start.elapsed().as_secs(), 120);
    server.config_map("a", "1").await;
    assert_eq!(
        watch.rest().await,
        [
            format!("ADDED a@{}", now + 2),
            format!("BOOKMARK @{}", now + 2)
        ]
    );
    assert_eq!(start.elapsed().as_secs(), 150);
    assert_eq!(plain.rest().await, [format!("ADDED a@{}", now + 2)]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_can_be_asked_for_by_hand() {
    let server = Server::new();
    let now = server.0.resource_version();
    let path = format!("{CONFIG_MAPS}?resourceVersion={now}");
    let mut plain = server.watch(&path).await;
    let mut watch = server
        .watch(&format!("{path}&allowWatchBookmarks=true"))
        .await;
    assert!(watch.is_quiet().await && plain.is_quiet().await);
    server.0.send_bookmarks();
    assert_eq!(watch.line().await.unwrap(), format!("BOOKMARK @{now}"));
    assert!(plain.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_never_overtakes_an_event() {
    let server = Server::new();
    let path = format!(
        "{CONFIG_MAPS}?resourceVersion={}",
        server.0.resource_version()
    );
    let mut watch = server
        .watch(&format!("{path}&allowWatchBookmarks=true"))
        .await;
    let version = server.config_map("a", "1").await.version();
    server.0.send_bookmarks();
    assert_eq!(
        watch.lines(2).await,
        [format!("ADDED a@{version}"), format!("BOOKMARK @{version}")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_says_where_the_state_ends() {
    let server = Server::new();
    for name in ["a", "b"] {
        server.config_map(name, "1").await;
    }
    let now = server.0.resource_version();
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?{STREAMING}")).await;
    assert_eq!(
        watch.lines(2).await,
        [format!("ADDED a@{}", now - 1), format!("ADDED b@{now}")]
    );
    let end = watch.next().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(
        end["object"]["metadata"],
        json!({ "resourceVersion": now.to_string(), "annotations": { "k8s.io/initial-events-end": "true" } })
    );
    server.config_map("c", "1").await;
    assert_eq!(watch.line().await.unwrap(), format!("ADDED c@{}", now + 1));
    let mut empty = server.watch(&format!("/api/v1/secrets?{STREAMING}")).await;
    assert_eq!(
        empty.line().await.unwrap(),
        format!("BOOKMARK @{}", now + 1)
    );
    // Without bookmarks there is nothing that could say it.
    let silent = STREAMING.replace("&allowWatchBookmarks=true", "&timeoutSeconds=3");
    let mut silent = server.watch(&format!("{CONFIG_MAPS}?{silent}")).await;
    assert_eq!(silent.rest().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_may_know_no_streaming_lists() {
    let server = Server::with(|config| config.streaming_lists = StreamingLists::Disabled);
    server.config_map("a", "1").await;
    let refused = server
        .get(&format!("{CONFIG_MAPS}?watch=true&{STREAMING}"))
        .await
        .is(422);
    assert_eq!(
        refused.body["details"]["causes"][0]["field"],
        "sendInitialEvents"
    );
    // Such a server does not say where the state ends.
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?allowWatchBookmarks=true"))
        .await;
    assert_eq!(watch.lines(1).await.len(), 1);
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn objects_enter_and_leave_a_selection() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let now = server.0.resource_version();
    let mut watch = server
        .watch(&format!(
            "{CONFIG_MAPS}?resourceVersion={now}&labelSelector=l%3D1"
        ))
        .await;
    set(&server, "a", "2").await;
    label(&server, "a", Some("1")).await;
    set(&server, "a", "3").await;
    label(&server, "a", Some("2")).await;
    set(&server, "a", "4").await;
    server.delete(A).await.is(200);
    assert_eq!(
        watch.lines(2).await,
        [
            format!("ADDED a@{}", now + 2),
            format!("MODIFIED a@{}", now + 3)
        ]
    );
    let left = watch.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(
        at(&left, "object.metadata.labels.l"),
        "1",
        "as it was last seen"
    );
    assert_eq!(at(&left, "object.data.k"), "3");
    assert_eq!(
        at(&left, "object.metadata.resourceVersion"),
        &(now + 4).to_string()
    );
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_its_namespace_or_all_of_them() {
    let server = Server::new();
    let now = server.0.resource_version();
    let elsewhere = "/api/v1/namespaces/kube-system/configmaps";
    let mut all = server
        .watch(&format!("/api/v1/configmaps?resourceVersion={now}"))
        .await;
    let mut one = server
        .watch(&format!("{elsewhere}?resourceVersion={now}"))
        .await;
    let mut named = server
        .watch(&format!(
            "{CONFIG_MAPS}?resourceVersion={now}&fieldSelector=metadata.name%3Db"
        ))
        .await;
    for (path, name) in [(CONFIG_MAPS, "a"), (elsewhere, "a"), (CONFIG_MAPS, "b")] {
        server
            .post(path, json!({ "metadata": { "name": name } }))
            .await
            .is(201);
    }
    let version = |offset| now + offset;
    assert_eq!(
        all.lines(3).await,
        [
            format!("ADDED a@{}", version(1)),
            format!("ADDED a@{}", version(2)),
            format!("ADDED b@{}", version(3)),
        ]
    );
    assert_eq!(one.line().await.unwrap(), format!("ADDED a@{}", version(2)));
    assert_eq!(
        named.line().await.unwrap(),
        format!("ADDED b@{}", version(3))
    );
    assert!(one.is_quiet().await && named.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn the_old_watch_paths_are_served() {
    let server = Server::new();
    for name in ["a", "b"] {
        server.config_map(name, "1").await;
    }
    let mut one = server
        .watch("/api/v1/watch/namespaces/default/configmaps/b?")
        .await;
    assert!(one.line().await.unwrap().starts_with("ADDED b@"));
    let mut all = server.watch("/api/v1/watch/configmaps?").await;
    assert_eq!(all.lines(2).await.len(), 2);
    assert!(one.is_quiet().await && all.is_quiet().await);
    // A GET of one object is no watch, whatever its query says.
    let object = server.get(&format!("{A}?watch=true")).await.is(200);
    assert_eq!(object.at("metadata.name"), "a");
}

#[tokio::test(start_paused = true)]
async fn all_watches_end_when_connections_are_dropped() {
    let server = Server::new();
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(server.watch(&format!("{CONFIG_MAPS}?")).await);
    }
    server.0.drop_watches();
    for watch in &mut watches {
        assert!(watch.next().await.is_none());
    }
    let mut later = server.watch(&format!("{CONFIG_MAPS}?")).await;
    assert!(later.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn deletion_with_a_finalizer_is_a_change_and_then_a_deletion() {
    let server = Server::new();
    let body = json!({ "metadata": { "name": "a", "finalizers": ["example.com/f"] } });
    let from = server.post(CONFIG_MAPS, body).await.is(201).version();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={from}"))
        .await;
    server.delete(A).await.is(200);
    server.delete(A).await.is(200);
    server
        .merge(A, json!({ "metadata": { "finalizers": null } }))
        .await
        .is(200);
    assert_eq!(
        watch.line().await.unwrap(),
        format!("MODIFIED a@{}", from + 1)
    );
    let deleted = watch.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(
        at(&deleted, "object.metadata.resourceVersion"),
        &(from + 2).to_string()
    );
    assert_eq!(
        at(&deleted, "object.metadata.finalizers"),
        &json!(["example.com/f"])
    );
}
