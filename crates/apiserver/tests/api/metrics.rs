//! What the server counts.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server};

/// The counted requests of a resource, without labels that are the same everywhere.
async fn counted(server: &Server, resource: &str) -> Vec<String> {
    let page = server.get("/metrics").await.is(200);
    let text = page.body.as_str().unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let wanted = format!("resource=\"{resource}\"");
    let lines = text.lines().filter(|line| line.contains(&wanted));
    let mut lines: Vec<_> = lines
        .map(|line| line.replace("component=\"apiserver\",", ""))
        .collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_what_they_ask_and_what_they_get() {
    let server = Server::new();
    server.config_map("a", "1").await;
    server.config_map("b", "1").await;
    let again = json!({ "metadata": { "name": "a" } });
    server.post(CONFIG_MAPS, again).await.is(409);
    server.get(CONFIG_MAPS).await.is(200);
    server.get(&format!("{CONFIG_MAPS}/a")).await.is(200);
    server.get(&format!("{CONFIG_MAPS}/c")).await.is(404);
    server.get("/api/v1/configmaps").await.is(200);
    let watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion=1"))
        .await;
    assert_eq!(watch.code, 200);
    server
        .merge(
            &format!("{CONFIG_MAPS}/a?dryRun=All"),
            json!({ "data": {} }),
        )
        .await
        .is(200);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.is(200);
    server.delete(CONFIG_MAPS).await.is(200);

    let line = |verb: &str, dry_run: &str, scope: &str, code: u16, count: u32| {
        format!(
            "apiserver_request_total{{verb=\"{verb}\",dry_run=\"{dry_run}\",group=\"\",version=\"v1\",\
             resource=\"configmaps\",subresource=\"\",scope=\"{scope}\",code=\"{code}\"}} {count}"
        )
    };
    let mut expected = vec![
        line("POST", "", "namespace", 201, 2),
        line("POST", "", "namespace", 409, 1),
        line("LIST", "", "namespace", 200, 1),
        line("LIST", "", "cluster", 200, 1),
        line("GET", "", "resource", 200, 1),
        line("GET", "", "resource", 404, 1),
        line("WATCH", "", "namespace", 200, 1),
        line("PATCH", "All", "resource", 200, 1),
        line("DELETE", "", "resource", 200, 1),
        line("DELETECOLLECTION", "", "namespace", 200, 1),
    ];
    expected.sort();
    assert_eq!(counted(&server, "configmaps").await, expected);
}

#[tokio::test(start_paused = true)]
async fn status_writes_are_counted_apart() {
    let server = Server::new();
    let path = "/apis/apps/v1/namespaces/default/replicasets/a/status";
    server.put(path, json!({})).await;
    let lines = counted(&server, "replicasets").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("verb=\"PUT\"") && lines[0].contains("subresource=\"status\""));
    server.post("/metrics", json!({})).await.is(405);
}
