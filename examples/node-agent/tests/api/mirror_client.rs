//! Mirror pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::Client;
use kube_client::api::{Api, DeleteParams};
use kubewright_apiserver::ApiServer;
use node_agent::mirror::{MirrorClient, MirrorError};
use node_agent::pod::{PodName, PodUid};
use serde_json::{Value, json};

use crate::world::{clock, server};

fn static_pod(hash: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "web-n", "namespace": "default", "uid": hash,
            "annotations": {"kubernetes.io/config.hash": hash,
                "kubernetes.io/config.source": "file"},
            "labels": {"app": "web"},
        },
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }))
    .unwrap()
}

fn node(value: Value) -> Option<Arc<Node>> {
    serde_json::from_value(value).unwrap()
}

fn client(server: &ApiServer, node: Option<Arc<Node>>) -> MirrorClient {
    let client = Client::new(server.service(), "default");
    MirrorClient::new(client, "n", move || node.clone())
}

fn known() -> Option<Arc<Node>> {
    node(json!({"metadata": {"name": "n", "uid": "test-node-uid-1234"}}))
}

fn api(server: &ApiServer) -> Api<Pod> {
    Api::default_namespaced(Client::new(server.service(), "default"))
}

#[tokio::test(start_paused = true)]
async fn create_mirror_pod() {
    let server = server(&clock());
    let pod = static_pod("123456789");
    let refused = client(&server, None).create(&pod).await;
    assert!(matches!(refused, Err(MirrorError::NoNode(_))));
    let without_uid = node(json!({"metadata": {"name": "n"}}));
    let refused = client(&server, without_uid).create(&pod).await;
    assert!(matches!(refused, Err(MirrorError::NoNode(_))));
    let deleted = node(json!({"metadata": {"name": "n", "uid": "u",
        "deletionTimestamp": "2026-05-01T12:00:00Z"}}));
    let refused = client(&server, deleted).create(&pod).await;
    assert!(matches!(refused, Err(MirrorError::NodeDeleted(_))));

    let mirrors = client(&server, known());
    mirrors.create(&pod).await.unwrap();
    let made = serde_json::to_value(api(&server).get("web-n").await.unwrap()).unwrap();
    let metadata = &made["metadata"];
    assert_eq!(
        metadata["annotations"]["kubernetes.io/config.mirror"],
        "123456789"
    );
    assert_eq!(metadata["labels"], json!({"app": "web"}));
    assert_ne!(metadata["uid"], "123456789");
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n",
        "uid": "test-node-uid-1234", "controller": true}]);
    assert_eq!(metadata["ownerReferences"], owner);
    assert_eq!(made["spec"]["nodeName"], "n");

    // One that is there is good if it shows the same.
    mirrors.create(&pod).await.unwrap();
    let refused = mirrors.create(&static_pod("another")).await.unwrap_err();
    assert!(matches!(refused, MirrorError::Api { .. }));
}

#[tokio::test(start_paused = true)]
async fn delete_mirror_pod() {
    let server = server(&clock());
    let mirrors = client(&server, known());
    mirrors.create(&static_pod("1")).await.unwrap();
    let uid = PodUid::of(&api(&server).get("web-n").await.unwrap());
    let name = PodName::new("default", "web-n");
    // It is another one, or gone.
    let other = PodUid::new("other");
    assert!(!mirrors.delete(&name, Some(&other)).await.unwrap());
    assert!(mirrors.delete(&name, Some(&uid)).await.unwrap());
    assert!(api(&server).get_opt("web-n").await.unwrap().is_none());
    assert!(!mirrors.delete(&name, Some(&uid)).await.unwrap());
    assert!(!mirrors.delete(&name, None).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_mirror_pod_that_shows_something_else_is_made_anew() {
    let server = server(&clock());
    let mirrors = client(&server, known());
    let api = api(&server);
    mirrors.reconcile(&static_pod("1"), None).await.unwrap();
    let first = api.get("web-n").await.unwrap();
    mirrors
        .reconcile(&static_pod("1"), Some(&first))
        .await
        .unwrap();
    let same = api.get("web-n").await.unwrap();
    assert_eq!(same.metadata, first.metadata);

    mirrors
        .reconcile(&static_pod("2"), Some(&first))
        .await
        .unwrap();
    let second = api.get("web-n").await.unwrap();
    assert_ne!(second.metadata.uid, first.metadata.uid);

    // Somebody deletes it: the static pod goes on, and so is it shown.
    let params = DeleteParams::default().grace_period(30);
    api.delete("web-n", &params).await.unwrap();
    let deleting = api.get("web-n").await.unwrap();
    assert!(deleting.metadata.deletion_timestamp.is_some());
    mirrors
        .reconcile(&static_pod("2"), Some(&deleting))
        .await
        .unwrap();
    let third = api.get("web-n").await.unwrap();
    assert!(third.metadata.deletion_timestamp.is_none());
    assert_ne!(third.metadata.uid, second.metadata.uid);
}
