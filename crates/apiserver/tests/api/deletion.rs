//! Deleting.

use serde_json::{Value, json};

use crate::seam::{Answer, CONFIG_MAPS, Server};

const A: &str = "/api/v1/namespaces/default/configmaps/a";
const PODS: &str = "/api/v1/namespaces/default/pods";

async fn held(server: &Server, finalizers: &[&str]) -> Answer {
    let body = json!({ "metadata": { "name": "a", "finalizers": finalizers } });
    server.post(CONFIG_MAPS, body).await.is(201)
}

async fn pod(server: &Server, name: &str, node: Option<&str>) -> Answer {
    let mut body = json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "c", "image": "i" }], "terminationGracePeriodSeconds": 30 },
    });
    if let Some(node) = node {
        body["spec"]["nodeName"] = node.into();
    }
    server.post(PODS, body).await.is(201)
}

#[tokio::test(start_paused = true)]
async fn an_object_without_finalizers_goes_at_once() {
    let server = Server::new();
    let created = server.config_map("a", "1").await;
    server.delete(A).await.is(200).shows(json!({
        "kind": "Status", "status": "Success",
        "details": { "name": "a", "kind": "configmaps", "uid": created.at("metadata.uid") },
    }));
    server.get(A).await.is(404);
    server.delete(A).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_taken() {
    let server = Server::new();
    let created = held(&server, &["example.com/f", "example.com/g"]).await;
    let marked = server.delete(A).await.is(200).shows(json!({
        "kind": "ConfigMap", "metadata": { "name": "a", "deletionGracePeriodSeconds": 0 },
    }));
    assert!(marked.at("metadata.deletionTimestamp").is_string());
    assert_eq!(marked.version(), created.version() + 1);
    assert_eq!(
        server.delete(A).await.is(200).body,
        marked.body,
        "nothing more to mark"
    );
    assert_eq!(server.get(A).await.is(200).body, marked.body);
    let kept = server
        .merge(
            A,
            json!({ "metadata": { "finalizers": ["example.com/g"], "deletionTimestamp": null } }),
        )
        .await
        .is(200);
    assert_eq!(
        kept.at("metadata.deletionTimestamp"),
        marked.at("metadata.deletionTimestamp")
    );
    let gone = server
        .merge(A, json!({ "metadata": { "finalizers": null } }))
        .await
        .is(200);
    assert_eq!(
        gone.version(),
        kept.version(),
        "the answer has the version that was"
    );
    server.get(A).await.is(404);
    assert_eq!(server.0.resource_version(), kept.version() + 1);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_without_finalizers_releases_too() {
    let server = Server::new();
    held(&server, &["example.com/f"]).await;
    server.delete(A).await.is(200);
    let body = json!({ "metadata": { "name": "a" }, "data": { "k": "2" } });
    server
        .put(&format!("{A}?dryRun=All"), body.clone())
        .await
        .is(200);
    server.get(A).await.is(200);
    server
        .put(A, body)
        .await
        .is(200)
        .shows(json!({ "data": { "k": "2" } }));
    server.get(A).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn the_policy_for_dependents_is_a_finalizer() {
    for (policy, finalizers) in [
        ("Foreground", json!(["foregroundDeletion"])),
        ("Orphan", json!(["orphan"])),
    ] {
        let server = Server::new();
        server.config_map("a", "1").await;
        let options = json!({ "propagationPolicy": policy });
        let marked = server.delete_with(A, options).await.is(200);
        assert_eq!(marked.at("metadata.finalizers"), &finalizers);
        // Later wishes count while the object is there.
        let options = json!({ "propagationPolicy": "Background" });
        server
            .delete_with(A, options)
            .await
            .is(200)
            .shows(json!({ "status": "Success" }));
        server.get(A).await.is(404);
    }
    let server = Server::new();
    server.config_map("a", "1").await;
    let path = format!("{A}?propagationPolicy=Background");
    let body = json!({ "propagationPolicy": "Foreground" });
    server
        .delete_with(&path, body)
        .await
        .is(200)
        .shows(json!({ "kind": "ConfigMap" }));
    let server = Server::new();
    server.config_map("a", "1").await;
    server
        .delete(&format!("{A}?orphanDependents=true"))
        .await
        .is(200)
        .shows(json!({ "metadata": { "finalizers": ["orphan"] } }));
}

#[tokio::test(start_paused = true)]
async fn preconditions_must_hold() {
    let server = Server::new();
    let created = server.config_map("a", "1").await;
    let (uid, version) = (created.at("metadata.uid").clone(), created.version());
    let with = |uid: Value, version: Value| json!({ "preconditions": { "uid": uid, "resourceVersion": version } });
    let other = "00000000-0000-0000-0000-000000000001";
    server.delete_with(A, with(other.into(), Value::Null)).await.is(409).shows(json!({
        "reason": "Conflict", "details": { "name": "a", "kind": "ConfigMap" },
        "message": format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition ({other}) does not \
             match the UID in record ({}). The object might have been deleted and then recreated",
            uid.as_str().unwrap(),
        ),
    }));
    server.delete_with(A, with(Value::Null, "1".into())).await.is(409).shows(json!({
        "message": format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does \
             not match the ResourceVersion in record ({version}). The object might have been modified"
        ),
    }));
    server.get(A).await.is(200);
    server
        .delete_with(A, with(uid, version.to_string().into()))
        .await
        .is(200);
    server.get(A).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn a_pod_on_a_node_is_left_time_that_can_only_get_shorter() {
    let server = Server::new();
    let path = format!("{PODS}/p");
    let created = pod(&server, "p", Some("n1")).await;
    let first = server.delete(&path).await.is(200);
    let first =
        first.shows(json!({ "kind": "Pod", "metadata": { "deletionGracePeriodSeconds": 30 } }));
    let grace = |seconds: i64| json!({ "gracePeriodSeconds": seconds });
    let shorter = server.delete_with(&path, grace(5)).await.is(200);
    let shorter = shorter.shows(json!({ "metadata": { "deletionGracePeriodSeconds": 5 } }));
    assert_eq!(
        shorter.at("metadata.generation"),
        first.at("metadata.generation")
    );
    let time = |answer: &Answer| -> jiff::Timestamp {
        answer
            .at("metadata.deletionTimestamp")
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!((time(&first) - time(&shorter)).get_seconds(), 25);
    assert_eq!(
        server.delete_with(&path, grace(60)).await.is(200).body,
        shorter.body
    );
    assert_eq!(server.delete(&path).await.is(200).body, shorter.body);
    let mut watch = server
        .watch(&format!("{PODS}?resourceVersion={}", shorter.version()))
        .await;
    server
        .delete_with(&path, grace(0))
        .await
        .is(200)
        .shows(json!({ "kind": "Pod", "metadata": { "deletionGracePeriodSeconds": 0 } }));
    server.get(&path).await.is(404);
    let version = created.version();
    assert_eq!(
        watch.lines(2).await,
        [
            format!("MODIFIED p@{}", version + 3),
            format!("DELETED p@{}", version + 4)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_run_goes_at_once() {
    let server = Server::new();
    let version = pod(&server, "p", None).await.version();
    let mut watch = server
        .watch(&format!("{PODS}?resourceVersion={version}"))
        .await;
    let path = format!("{PODS}/p");
    server
        .delete(&path)
        .await
        .is(200)
        .shows(json!({ "metadata": { "deletionGracePeriodSeconds": 0 } }));
    server.get(&path).await.is(404);
    assert_eq!(
        watch.lines(2).await,
        [
            format!("MODIFIED p@{}", version + 1),
            format!("DELETED p@{}", version + 2)
        ]
    );
    pod(&server, "q", Some("n1")).await;
    let path = format!("{PODS}/q");
    server
        .merge(
            &format!("{path}/status"),
            json!({ "status": { "phase": "Succeeded" } }),
        )
        .await
        .is(200);
    server.delete(&path).await.is(200);
    server.get(&path).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn less_than_no_time_is_a_second() {
    let server = Server::new();
    pod(&server, "p", Some("n1")).await;
    let options = json!({ "gracePeriodSeconds": -1 });
    server
        .delete_with(&format!("{PODS}/p"), options)
        .await
        .is(200)
        .shows(json!({ "metadata": { "deletionGracePeriodSeconds": 1 } }));
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::new();
    for (name, label) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let body = json!({ "metadata": { "name": name, "labels": { "l": label } } });
        server.post(CONFIG_MAPS, body).await.is(201);
    }
    let before = server.get(CONFIG_MAPS).await;
    let mut watch = server
        .watch(&format!(
            "{CONFIG_MAPS}?resourceVersion={}",
            before.version()
        ))
        .await;
    let deleted = server
        .delete(&format!("{CONFIG_MAPS}?labelSelector=l%3D1"))
        .await
        .is(200);
    assert_eq!(deleted.names(), ["a", "b"]);
    assert_eq!(deleted.at("kind"), "ConfigMapList");
    assert_eq!(deleted.body["items"][0], before.body["items"][0]);
    assert_eq!(server.get(CONFIG_MAPS).await.names(), ["c"]);
    let version = before.version();
    assert_eq!(
        watch.lines(2).await,
        [
            format!("DELETED a@{}", version + 1),
            format!("DELETED b@{}", version + 2)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn some_kinds_answer_what_they_were() {
    let server = Server::new();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let created = server
        .post(accounts, json!({ "metadata": { "name": "a" } }))
        .await
        .is(201);
    let deleted = server.delete(&format!("{accounts}/a")).await.is(200);
    assert_eq!(deleted.at("kind"), "ServiceAccount");
    assert_eq!(
        deleted.version(),
        created.version() + 1,
        "the version of its removal"
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_waits_for_its_finalizers() {
    let server = Server::new();
    let path = "/api/v1/namespaces/x";
    let body = json!({ "metadata": { "name": "x" }, "spec": { "finalizers": ["kubernetes"] } });
    server.post("/api/v1/namespaces", body).await.is(201);
    let marked = server.delete(path).await.is(200);
    let marked = marked.shows(
        json!({ "status": { "phase": "Terminating" }, "spec": { "finalizers": ["kubernetes"] } }),
    );
    assert_eq!(server.delete(path).await.is(200).body, marked.body);
    let mut finalized = marked.body.clone();
    finalized["spec"]["finalizers"] = json!([]);
    server
        .put(&format!("{path}/finalize"), finalized)
        .await
        .is(200);
    server.get(path).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn the_namespaces_that_every_cluster_has_stay() {
    let server = Server::new();
    for name in ["default", "kube-public", "kube-system"] {
        let path = format!("/api/v1/namespaces/{name}");
        server.delete(&path).await.is(403).shows(json!({
            "reason": "Forbidden", "details": { "name": name, "kind": "namespaces" },
            "message": format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted"),
        }));
        server
            .get(&path)
            .await
            .is(200)
            .shows(json!({ "status": { "phase": "Active" } }));
    }
    server
        .delete("/api/v1/namespaces/kube-node-lease")
        .await
        .is(200);
}
