//! Lists, whole and in pages.

use serde_json::json;

use crate::seam::{Answer, CONFIG_MAPS, Server};

async fn three() -> Server {
    let server = Server::new();
    for name in ["c", "a", "b"] {
        let body = json!({ "metadata": { "name": name, "labels": { "all": "y", "is": name } } });
        server.post(CONFIG_MAPS, body).await.is(201);
    }
    server
}

/// The query of the next page.
#[track_caller]
fn next(page: &Answer) -> String {
    let token = page.at("metadata.continue").as_str().unwrap();
    assert!(
        token
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    );
    format!("continue={token}")
}

#[tokio::test(start_paused = true)]
async fn a_list_is_ordered_by_namespace_and_name_and_its_items_are_untyped() {
    let server = three().await;
    let other = "/api/v1/namespaces/kube-system/configmaps";
    server
        .post(other, json!({ "metadata": { "name": "0" } }))
        .await
        .is(201);
    let list = server.get("/api/v1/configmaps").await.is(200);
    assert_eq!(list.names(), ["a", "b", "c", "0"]);
    assert_eq!(list.version(), server.0.resource_version());
    let list = list.shows(json!({ "kind": "ConfigMapList", "apiVersion": "v1" }));
    assert!(list.body["items"][0].get("kind").is_none());
    assert!(list.body["metadata"].get("continue").is_none());
    assert_eq!(server.get(CONFIG_MAPS).await.names(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn pages_show_one_moment() {
    let server = three().await;
    let first = server.get(&format!("{CONFIG_MAPS}?limit=1")).await.is(200);
    assert_eq!(first.names(), ["a"]);
    assert_eq!(first.at("metadata.remainingItemCount"), 2);
    server.config_map("bb", "1").await;
    server
        .merge(
            &format!("{CONFIG_MAPS}/b"),
            json!({ "data": { "k": "new" } }),
        )
        .await
        .is(200);
    server.delete(&format!("{CONFIG_MAPS}/c")).await.is(200);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.is(200);
    let second = server
        .get(&format!("{CONFIG_MAPS}?limit=1&{}", next(&first)))
        .await
        .is(200);
    assert_eq!(second.names(), ["b"]);
    assert!(second.body["items"][0].get("data").is_none());
    assert_eq!(second.at("metadata.remainingItemCount"), 1);
    let third = server
        .get(&format!("{CONFIG_MAPS}?limit=1&{}", next(&second)))
        .await
        .is(200);
    assert_eq!(third.names(), ["c"]);
    assert!(third.body["metadata"].get("continue").is_none());
    assert_eq!([second.version(), third.version()], [first.version(); 2]);
    assert_eq!(server.get(CONFIG_MAPS).await.names(), ["b", "bb"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fits_has_no_second_page() {
    let server = three().await;
    for query in [
        "limit=3",
        "limit=4",
        "limit=0",
        "limit=-1",
        "limit=1&resourceVersion=0",
    ] {
        let list = server.get(&format!("{CONFIG_MAPS}?{query}")).await.is(200);
        assert_eq!(list.names(), ["a", "b", "c"], "{query}");
        assert!(list.body["metadata"].get("continue").is_none(), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn selectors_pick_and_hide_how_many_remain() {
    let server = three().await;
    let list = |query: &str| {
        let path = format!("{CONFIG_MAPS}?{query}");
        let server = &server;
        async move { server.get(&path).await.is(200) }
    };
    assert_eq!(
        list("labelSelector=is%20in%20(a,c),!z").await.names(),
        ["a", "c"]
    );
    assert_eq!(list("labelSelector=is!%3Da").await.names(), ["b", "c"]);
    assert_eq!(list("fieldSelector=metadata.name%3Db").await.names(), ["b"]);
    assert_eq!(
        list("fieldSelector=metadata.name!%3Db").await.names(),
        ["a", "c"]
    );
    assert_eq!(
        list("fieldSelector=metadata.name%3Db&labelSelector=is%3Da")
            .await
            .names(),
        [""; 0]
    );
    let everywhere =
        "/api/v1/configmaps?fieldSelector=metadata.name%3Db,metadata.namespace%3Ddefault";
    assert_eq!(server.get(everywhere).await.names(), ["b"]);
    let page = list("limit=1&labelSelector=all%3Dy").await;
    assert!(page.body["metadata"].get("remainingItemCount").is_none());
    let rest = list(&format!("labelSelector=all%3Dy&{}", next(&page))).await;
    assert_eq!(rest.names(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_forgotten_moment_is_gone_but_the_rest_can_be_had() {
    let server = three().await;
    let first = server.get(&format!("{CONFIG_MAPS}?limit=1")).await;
    server.config_map("d", "1").await;
    server.0.compact(server.0.resource_version());
    let gone = server
        .get(&format!("{CONFIG_MAPS}?limit=1&{}", next(&first)))
        .await
        .is(410);
    let gone = gone.shows(json!({ "kind": "Status", "reason": "Expired" }));
    let message = gone.at("message").as_str().unwrap();
    assert!(
        message.starts_with("The provided continue parameter is too old"),
        "{message}"
    );
    let rest = server
        .get(&format!("{CONFIG_MAPS}?limit=1&{}", next(&gone)))
        .await
        .is(200);
    assert_eq!(rest.names(), ["b"]);
    assert_eq!(rest.at("metadata.remainingItemCount"), 2);
    assert_eq!(rest.version(), server.0.resource_version());
    let last = server
        .get(&format!("{CONFIG_MAPS}?{}", next(&rest)))
        .await
        .is(200);
    assert_eq!(last.names(), ["c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded() {
    let server = Server::with(|config| config.history = 3);
    for name in ["a", "b"] {
        server.config_map(name, "1").await;
    }
    let first = server.get(&format!("{CONFIG_MAPS}?limit=1")).await;
    for name in ["c", "d", "e"] {
        server.config_map(name, "1").await;
    }
    let path = format!("{CONFIG_MAPS}?limit=1&{}", next(&first));
    assert_eq!(server.get(&path).await.is(200).names(), ["b"]);
    server.config_map("f", "1").await;
    server.get(&path).await.is(410);
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_of_an_exact_version() {
    let server = three().await;
    let then = server.0.resource_version();
    server.config_map("d", "1").await;
    let exact = format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact");
    let list = server.get(&exact).await.is(200);
    assert_eq!((list.names().len(), list.version()), (3, then));
    let page = server
        .get(&format!("{CONFIG_MAPS}?resourceVersion={then}&limit=3"))
        .await
        .is(200);
    assert_eq!((page.names().len(), page.version()), (3, then));
    let newer = format!("{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=NotOlderThan");
    assert_eq!(server.get(&newer).await.is(200).names().len(), 4);
    assert_eq!(
        server
            .get(&format!("{CONFIG_MAPS}?resourceVersion={then}"))
            .await
            .names()
            .len(),
        4
    );
    server.0.compact(then + 1);
    server
        .get(&exact)
        .await
        .is(410)
        .shows(json!({ "reason": "Expired" }));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_no_page_gave_are_refused() {
    let server = three().await;
    server.get(&format!("{CONFIG_MAPS}?limit=1&continue=nonsense")).await.is(400).shows(json!({
        "message": "invalid continue token: continue key is not valid: invalid character '\\x9e' \
                    looking for beginning of value",
    }));
    let first = server.get(&format!("{CONFIG_MAPS}?limit=1")).await;
    let both = format!("{CONFIG_MAPS}?resourceVersion=5&{}", next(&first));
    server.get(&both).await.is(400).shows(json!({
        "message": "specifying resource version is not allowed when using continue",
    }));
    let elsewhere = format!("/api/v1/namespaces/a/configmaps?{}", next(&first));
    assert_eq!(server.get(&elsewhere).await.is(200).names(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_large_list_comes_whole() {
    let server = Server::new();
    let text = "x".repeat(1000);
    for number in 0..500 {
        server.config_map(&format!("c{number:03}"), &text).await;
    }
    let list = server.get(CONFIG_MAPS).await.is(200);
    let names: Vec<String> = (0..500).map(|number| format!("c{number:03}")).collect();
    assert_eq!(list.names(), names);
    assert!(
        list.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["data"]["k"] == text)
    );
}
