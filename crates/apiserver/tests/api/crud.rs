//! Creating, reading and changing objects.

use serde_json::{Value, json};

use crate::seam::{CONFIG_MAPS, Server};

const A: &str = "/api/v1/namespaces/default/configmaps/a";

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
    assert_eq!(server.get(A).await.is(200).body, created.body);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_given_once() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let again = json!({ "metadata": { "name": "a" } });
    server.post(CONFIG_MAPS, again.clone()).await.is(409).shows(json!({
        "kind": "Status", "reason": "AlreadyExists", "message": "configmaps \"a\" already exists",
        "details": { "name": "a", "kind": "configmaps" },
    }));
    let held = json!({ "metadata": { "name": "b", "finalizers": ["example.com/f"] } });
    server.post(CONFIG_MAPS, held.clone()).await.is(201);
    server.delete(&format!("{CONFIG_MAPS}/b")).await.is(200);
    server.post(CONFIG_MAPS, held).await.is(409).shows(json!({
        "message": "object is being deleted: configmaps \"b\" already exists",
    }));
}

#[tokio::test(start_paused = true)]
async fn generated_names_differ_and_keep_their_base() {
    let server = Server::new();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let body = json!({ "metadata": { "generateName": "x-" } });
        let name = server.post(CONFIG_MAPS, body).await.is(201);
        let name = name.at("metadata.name").as_str().unwrap().to_owned();
        assert!(name.starts_with("x-") && name.len() == 7, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn what_only_the_server_sets_is_not_taken_from_the_client() {
    let server = Server::new();
    let body = json!({ "metadata": {
        "name": "a", "uid": "00000000-0000-0000-0000-000000000001",
        "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5, "selfLink": "/x",
    }});
    let created = server.post(CONFIG_MAPS, body).await.is(201);
    assert_ne!(
        created.at("metadata.uid"),
        "00000000-0000-0000-0000-000000000001"
    );
    assert_ne!(
        created.at("metadata.creationTimestamp"),
        "2001-01-01T00:00:00Z"
    );
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        assert!(created.body["metadata"].get(field).is_none(), "{field}");
    }
    let mut changed = created.body.clone();
    changed["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    changed["data"] = json!({ "k": "2" });
    let changed = server.put(A, changed).await.is(200);
    assert_eq!(
        changed.at("metadata.creationTimestamp"),
        created.at("metadata.creationTimestamp")
    );
}

#[tokio::test(start_paused = true)]
async fn every_write_takes_the_next_version_whatever_its_kind() {
    let server = Server::new();
    let first = server.config_map("a", "1").await.version();
    let secret = json!({ "metadata": { "name": "s" } });
    let secrets = "/api/v1/namespaces/default/secrets";
    assert_eq!(
        server.post(secrets, secret).await.is(201).version(),
        first + 1
    );
    let data = json!({ "data": { "k": "2" } });
    assert_eq!(server.merge(A, data).await.is(200).version(), first + 2);
    server.delete(A).await.is(200);
    assert_eq!(server.config_map("a", "1").await.version(), first + 4);
    assert_eq!(server.0.resource_version(), first + 4);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_effect_leaves_no_trace() {
    let server = Server::new();
    let created = server.config_map("a", "1").await;
    let mut watch = server
        .watch(&format!(
            "{CONFIG_MAPS}?resourceVersion={}",
            created.version()
        ))
        .await;
    let bare = json!({ "metadata": { "name": "a" }, "data": { "k": "1" } });
    assert_eq!(server.put(A, bare).await.is(200).body, created.body);
    assert_eq!(
        server.put(A, created.body.clone()).await.is(200).body,
        created.body
    );
    let patch = json!({ "data": { "k": "1", "missing": null } });
    assert_eq!(server.merge(A, patch).await.is(200).body, created.body);
    assert_eq!(server.0.resource_version(), created.version());
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_change_may_say_what_it_is_based_on() {
    let server = Server::new();
    let old = server.config_map("a", "1").await.body;
    server
        .merge(A, json!({ "data": { "k": "2" } }))
        .await
        .is(200);
    let conflict = json!({
        "reason": "Conflict", "details": { "name": "a", "kind": "configmaps" },
        "message": "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
                    please apply your changes to the latest version and try again",
    });
    server
        .put(A, old.clone())
        .await
        .is(409)
        .shows(conflict.clone());
    let version = &old["metadata"]["resourceVersion"];
    let patch = json!({ "metadata": { "resourceVersion": version }, "data": { "k": "3" } });
    server.merge(A, patch).await.is(409).shows(conflict);
    let bare = json!({ "metadata": { "name": "a" }, "data": { "k": "3" } });
    server
        .put(A, bare)
        .await
        .is(200)
        .shows(json!({ "data": { "k": "3" } }));
    let other =
        json!({ "metadata": { "name": "a", "uid": "00000000-0000-0000-0000-000000000001" } });
    let refused = server.put(A, other).await.is(409);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("Key: /registry/configmaps/default/a"),
        "{message}"
    );
    assert!(
        message.contains("UID in precondition: 00000000"),
        "{message}"
    );
    let garbage = json!({ "metadata": { "name": "a", "resourceVersion": "abc" } });
    server.put(A, garbage).await.is(500).shows(json!({
        "message": "strconv.ParseUint: parsing \"abc\": invalid syntax", "reason": null,
    }));
}

#[tokio::test(start_paused = true)]
async fn put_goes_to_the_object_that_the_path_names() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let named = |name: Value, namespace: Value| json!({ "metadata": { "name": name, "namespace": namespace } });
    server
        .put(A, named("b".into(), Value::Null))
        .await
        .is(400)
        .shows(json!({
            "message": "the name of the object (b) does not match the name on the URL (a)",
        }));
    server.put(A, json!({ "metadata": {} })).await.is(400).shows(json!({
        "message": "the name of the object (a based on URL) was undeterminable: name must be provided",
    }));
    server.put(A, named("a".into(), "other".into())).await.is(400).shows(json!({
        "message": "the namespace of the provided object does not match the namespace sent on the request",
    }));
    let missing = format!("{CONFIG_MAPS}/nope");
    server.put(&missing, named("nope".into(), Value::Null)).await.is(404).shows(json!({
        "message": "configmaps \"nope\" not found", "details": { "name": "nope", "kind": "configmaps" },
    }));
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let body = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "me" } });
    let other = json!({ "metadata": { "name": "other" } });
    server.put(lease, other).await.is(400);
    let gone = "00000000-0000-0000-0000-000000000001";
    let recreated = json!({ "metadata": { "name": "l", "uid": gone, "resourceVersion": "2" } });
    server
        .put(lease, recreated)
        .await
        .is(409)
        .shows(json!({ "reason": "Conflict" }));
    let created = server.put(lease, body).await.is(201);
    server.put(lease, created.body).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn dry_runs_answer_as_if_and_change_nothing() {
    let server = Server::new();
    let before = server.config_map("a", "1").await;
    let mut watch = server
        .watch(&format!(
            "{CONFIG_MAPS}?resourceVersion={}",
            before.version()
        ))
        .await;
    let new = json!({ "metadata": { "name": "b" } });
    let tried = server
        .post(&format!("{CONFIG_MAPS}?dryRun=All"), new)
        .await
        .is(201);
    assert!(tried.at("metadata.uid").is_string());
    assert!(tried.body["metadata"].get("resourceVersion").is_none());
    server
        .post(
            &format!("{CONFIG_MAPS}?dryRun=All"),
            json!({ "metadata": { "name": "a" } }),
        )
        .await
        .is(409);
    let data = json!({ "data": { "k": "2" } });
    let tried = server.merge(&format!("{A}?dryRun=All"), data).await.is(200);
    tried.shows(json!({
        "data": { "k": "2" }, "metadata": { "resourceVersion": before.version().to_string() },
    }));
    server
        .delete(&format!("{A}?dryRun=All"))
        .await
        .is(200)
        .shows(json!({ "status": "Success" }));
    server
        .delete_with(
            A,
            json!({ "dryRun": ["All"], "propagationPolicy": "Foreground" }),
        )
        .await
        .is(200)
        .shows(json!({ "metadata": { "finalizers": ["foregroundDeletion"] } }));
    assert_eq!(server.get(A).await.is(200).body, before.body);
    assert_eq!(server.0.resource_version(), before.version());
    assert!(watch.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_objects_while_it_is_there() {
    let server = Server::new();
    let nowhere = "/api/v1/namespaces/nowhere/configmaps";
    let body = json!({ "metadata": { "name": "a" } });
    server.post(nowhere, body.clone()).await.is(404).shows(json!({
        "message": "namespaces \"nowhere\" not found", "details": { "name": "nowhere", "kind": "namespaces" },
    }));
    server
        .get(nowhere)
        .await
        .is(200)
        .shows(json!({ "items": [] }));
    let namespace =
        json!({ "metadata": { "name": "nowhere" }, "spec": { "finalizers": ["kubernetes"] } });
    server.post("/api/v1/namespaces", namespace).await.is(201);
    server.post(nowhere, body).await.is(201);
    let deleted = server.delete("/api/v1/namespaces/nowhere").await.is(200);
    deleted.shows(json!({ "kind": "Namespace", "status": { "phase": "Terminating" } }));
    server.post(nowhere, json!({ "metadata": { "name": "late" } })).await.is(403).shows(json!({
        "reason": "Forbidden",
        "message": "configmaps \"late\" is forbidden: unable to create new content in namespace nowhere \
                    because it is being terminated",
        "details": { "causes": [{
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": "namespace nowhere is being terminated",
        }]},
    }));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_requests_give_the_same_answers() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let server = Server::with(|config| config.seed = 42);
        let mut answers = Vec::new();
        for _ in 0..3 {
            let body = json!({ "metadata": { "generateName": "x-" } });
            answers.push(server.post(CONFIG_MAPS, body).await.is(201).body);
        }
        runs.push(answers);
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(
        runs[0][0]["metadata"]["creationTimestamp"],
        "2024-05-01T12:00:00Z"
    );
}
