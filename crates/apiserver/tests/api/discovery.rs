//! What clients find out before they do anything: groups, resources, schemas, version, health.

use serde_json::{Value, json};

use crate::seam::Server;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

#[tokio::test(start_paused = true)]
async fn both_kinds_of_discovery_tell_of_the_same_resources() {
    let server = Server::new();
    let legacy = server.get("/apis/apps/v1").await.is(200);
    let mut names: Vec<&str> = legacy
        .at("resources")
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    names.retain(|name| !name.contains('/'));
    let request = format!("GET /apis\nAccept: {AGGREGATED}");
    let answer = server.send(&request, "").await.is(200);
    assert_eq!(
        answer.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    let groups: Value = serde_json::from_str(answer.body.as_str().unwrap()).unwrap();
    let apps = groups["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["metadata"]["name"] == "apps")
        .unwrap();
    let resources = apps["versions"][0]["resources"].as_array().unwrap();
    let aggregated: Vec<&str> = resources
        .iter()
        .map(|r| r["resource"].as_str().unwrap())
        .collect();
    assert_eq!(names, aggregated);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_knows_the_answer_is_told_that_it_still_holds() {
    let server = Server::new();
    let first = server.get("/apis").await.is(200);
    let etag = first.headers["etag"].to_str().unwrap();
    let again = server
        .send(&format!("GET /apis\nIf-None-Match: {etag}"), "")
        .await
        .is(304);
    assert_eq!(again.headers["etag"], etag);
}

#[tokio::test(start_paused = true)]
async fn unknown_groups_are_no_pages_and_unknown_versions_a_status() {
    let server = Server::new();
    let group = server.get("/apis/nope.example.com/v1").await.is(404);
    assert_eq!(group.body, "404 page not found\n");
    let version = server.get("/apis/apps/v9").await.is(404);
    version.shows(json!({ "reason": "NotFound", "details": {}, "message": "the server could not find the requested resource" }));
}

#[tokio::test(start_paused = true)]
async fn the_openapi_index_leads_to_documents_with_the_kinds() {
    let server = Server::new();
    let index = server.get("/openapi/v3").await.is(200);
    let index: Value = serde_json::from_str(index.body.as_str().unwrap()).unwrap();
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let document = server.get(address).await.is(200);
    let kind = &document.body["components"]["schemas"]["io.k8s.api.apps.v1.ReplicaSet"]["x-kubernetes-group-version-kind"];
    assert_eq!(
        kind,
        &json!([{ "group": "apps", "version": "v1", "kind": "ReplicaSet" }])
    );
}

#[tokio::test(start_paused = true)]
async fn version_and_health_are_there() {
    let server = Server::new();
    server
        .get("/version")
        .await
        .is(200)
        .shows(json!({ "major": "1", "minor": "36" }));
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(server.get(path).await.is(200).body, "ok");
    }
}
