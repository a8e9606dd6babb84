//! Status, scale, binding and eviction.

use serde_json::{Value, json};

use crate::seam::Server;

const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

async fn set(server: &Server) {
    let body = json!({
        "metadata": { "name": "r" },
        "spec": {
            "replicas": 3,
            "selector": {
                "matchLabels": { "app": "r" },
                "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["b", "a"] }],
            },
            "template": {
                "metadata": { "labels": { "app": "r", "tier": "a" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    });
    server.post(SETS, body).await.is(201);
}

async fn pod(server: &Server, name: &str) {
    let body = json!({
        "metadata": { "name": name, "labels": { "app": "x" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] },
    });
    server.post(PODS, body).await.is(201);
}

#[tokio::test(start_paused = true)]
async fn status_and_the_rest_are_written_apart() {
    let server = Server::new();
    set(&server).await;
    let path = format!("{SETS}/r");
    let status = format!("{path}/status");
    let both = json!({ "spec": { "replicas": 9 }, "status": { "replicas": 2 } });
    server
        .merge(&status, both.clone())
        .await
        .is(200)
        .shows(json!({ "spec": { "replicas": 3 }, "status": { "replicas": 2 } }));
    let both = json!({ "spec": { "replicas": 9 }, "status": { "replicas": 7 } });
    server
        .merge(&path, both)
        .await
        .is(200)
        .shows(json!({ "spec": { "replicas": 9 }, "status": { "replicas": 2 } }));
    let read = server.get(&status).await.is(200);
    assert_eq!(read.body, server.get(&path).await.body);
}

#[tokio::test(start_paused = true)]
async fn scale_shows_and_sets_replicas() {
    let server = Server::new();
    set(&server).await;
    let path = format!("{SETS}/r/scale");
    let scale = server.get(&path).await.is(200).shows(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": { "name": "r", "namespace": "default" },
        "spec": { "replicas": 3 },
        "status": { "replicas": 0, "selector": "app=r,tier in (a,b)" },
    }));
    let body = json!({ "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": { "name": "r", "namespace": "default" }, "spec": { "replicas": 5 } });
    let scaled = server
        .put(&path, body)
        .await
        .is(200)
        .shows(json!({ "spec": { "replicas": 5 } }));
    assert_eq!(scaled.version(), scale.version() + 1);
    server.put(&path, scale.body).await.is(409);
    let none = server
        .merge(&path, json!({ "spec": { "replicas": 0 } }))
        .await
        .is(200);
    assert_eq!(none.body["spec"], json!({}));
    server
        .get(&format!("{SETS}/r"))
        .await
        .shows(json!({ "spec": { "replicas": 0 } }));
    server.merge(&path, json!({ "spec": { "replicas": -1 } })).await.is(422).shows(json!({
        "message": "Scale.autoscaling \"r\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    }));
    server
        .put(
            &path,
            json!({ "kind": "ReplicaSet", "metadata": { "name": "r" } }),
        )
        .await
        .is(400);
    server.get(&format!("{SETS}/nope/scale")).await.is(404);
    server
        .get("/api/v1/namespaces/default/configmaps/a/scale")
        .await
        .is(404);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let server = Server::new();
    pod(&server, "p").await;
    let bind = |node: &str| json!({ "metadata": { "name": "p" }, "target": { "kind": "Node", "name": node } });
    let path = format!("{PODS}/p/binding");
    server
        .post(&path, bind("n1"))
        .await
        .is(201)
        .shows(json!({ "kind": "Status", "status": "Success", "code": 201 }));
    let bound = server
        .get(&format!("{PODS}/p"))
        .await
        .shows(json!({ "spec": { "nodeName": "n1" } }));
    let conditions = bound.at("status.conditions").as_array().unwrap();
    let scheduled = conditions
        .iter()
        .find(|condition| condition["type"] == "PodScheduled")
        .unwrap();
    assert_eq!(scheduled["status"], "True");
    server.post(&path, bind("n2")).await.is(409).shows(json!({
        "message": "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"",
        "details": { "name": "p", "kind": "pods/binding" },
    }));
    pod(&server, "q").await;
    let mut old = bind("n1");
    old["metadata"]["name"] = "q".into();
    server
        .post("/api/v1/namespaces/default/bindings", old)
        .await
        .is(201);
    server
        .get(&format!("{PODS}/q"))
        .await
        .shows(json!({ "spec": { "nodeName": "n1" } }));
    let mut missing = bind("n1");
    missing["metadata"]["name"] = "nope".into();
    server
        .post(&format!("{PODS}/nope/binding"), missing)
        .await
        .is(404);
}

#[tokio::test(start_paused = true)]
async fn a_binding_is_for_the_pod_that_its_scheduler_saw() {
    let server = Server::new();
    let path = format!("{PODS}/p/binding");
    let bind = |metadata: Value| {
        let body = json!({ "metadata": metadata, "target": { "kind": "Node", "name": "n1" } });
        server.post(&path, body)
    };
    pod(&server, "p").await;
    let seen = server.get(&format!("{PODS}/p")).await;
    let (uid, version) = (
        seen.at("metadata.uid").clone(),
        seen.at("metadata.resourceVersion").clone(),
    );
    server.delete(&format!("{PODS}/p")).await;
    pod(&server, "p").await;
    let another = server.get(&format!("{PODS}/p")).await;
    let current = another.at("metadata.uid").as_str().unwrap().to_owned();
    let refused = |what: &str, wanted: &Value, current: &str| {
        let wanted = wanted.as_str().unwrap();
        json!({
            "reason": "Conflict",
            "message": format!("Operation cannot be fulfilled on pods \"p\": StorageError: invalid object, \
                Code: 4, Key: /registry/pods/default/p, ResourceVersion: 0, AdditionalErrorMsg: \
                Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {current}"),
        })
    };
    bind(json!({ "name": "p", "uid": uid }))
        .await
        .is(409)
        .shows(refused("UID", &uid, &current));
    let now = another.at("metadata.resourceVersion").clone();
    bind(json!({ "name": "p", "resourceVersion": version }))
        .await
        .is(409)
        .shows(refused("ResourceVersion", &version, now.as_str().unwrap()));
    bind(json!({ "name": "q" })).await.is(400).shows(json!({
        "message": "name in URL does not match name in Binding object",
    }));
    bind(json!({ "name": "p", "uid": current, "resourceVersion": now }))
        .await
        .is(201);
}

#[tokio::test(start_paused = true)]
async fn a_binding_is_decoded_as_what_it_is() {
    let server = Server::new();
    pod(&server, "p").await;
    let target = json!({ "kind": "Node", "name": "n1" });
    for path in [
        &format!("{PODS}/p/binding"),
        "/api/v1/namespaces/default/bindings",
    ] {
        let metadata = json!({ "name": "p", "annotations": { "a": 5 } });
        let wrong = json!({ "metadata": metadata, "target": target });
        let refused = server.post(path, wrong).await.is(400);
        let message = refused.at("message").as_str().unwrap();
        let expected = "Binding in version \"v1\" cannot be handled as a Binding: ";
        assert!(message.starts_with(expected), "{message}");
        let other = json!({ "kind": "Pod", "metadata": { "name": "p" }, "target": target });
        server.post(path, other).await.is(400);
    }
    let untouched = server.get(&format!("{PODS}/p")).await;
    assert_eq!(untouched.at("spec.nodeName"), &Value::Null);
    let metadata = json!({ "name": "p", "annotations": { "a": "5" } });
    let body = json!({ "metadata": metadata, "target": target, "x": 1 });
    let bound = server
        .post(&format!("{PODS}/p/binding"), body)
        .await
        .is(201);
    let warning = bound.headers["warning"].to_str().unwrap();
    assert!(warning.contains("unknown field"), "{warning}");
    server
        .get(&format!("{PODS}/p"))
        .await
        .shows(json!({ "metadata": { "annotations": { "a": "5" } } }));
}

#[tokio::test(start_paused = true)]
async fn a_pod_behind_a_gate_is_not_bound() {
    let server = Server::new();
    let body = json!({
        "metadata": { "name": "p" },
        "spec": {
            "containers": [{ "name": "c", "image": "i" }],
            "schedulingGates": [{ "name": "example.com/wait" }],
        },
    });
    server.post(PODS, body).await.is(201);
    let body = json!({ "metadata": { "name": "p" }, "target": { "name": "n1" } });
    server
        .post(&format!("{PODS}/p/binding"), body)
        .await
        .is(409)
        .shows(json!({
            "message": "Operation cannot be fulfilled on pods/binding \"p\": \
                        pod p has non-empty .spec.schedulingGates",
        }));
}

#[tokio::test(start_paused = true)]
async fn eviction_spends_the_budget() {
    let server = Server::new();
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({ "metadata": { "name": "b" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "x" } } } });
    server.post(budgets, budget).await.is(201);
    let evict = |name: &str| {
        let body =
            json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } });
        let (server, path) = (&server, format!("{PODS}/{name}/eviction"));
        async move { server.post(&path, body).await }
    };
    for name in ["p", "q"] {
        pod(&server, name).await;
        let running = json!({ "status": { "phase": "Running" } });
        server
            .merge(&format!("{PODS}/{name}/status"), running)
            .await
            .is(200);
    }
    let cause =
        |answer: crate::seam::Answer| answer.body["details"]["causes"][0]["message"].clone();
    let unknown = evict("p").await.is(429);
    assert_eq!(unknown.headers["retry-after"], "10");
    assert_eq!(
        cause(unknown),
        "The disruption budget b is still being processed by the server."
    );
    let status = json!({ "status": { "observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2 } });
    server
        .merge(&format!("{budgets}/b/status"), status)
        .await
        .is(200);
    evict("p")
        .await
        .is(201)
        .shows(json!({ "status": "Success" }));
    server.get(&format!("{PODS}/p")).await.is(404);
    let spent = server
        .get(&format!("{budgets}/b"))
        .await
        .shows(json!({ "status": { "disruptionsAllowed": 0 } }));
    assert!(spent.body["status"]["disruptedPods"]["p"].is_string());
    let refused = evict("q").await.is(429).shows(json!({
        "reason": "TooManyRequests", "message": "Cannot evict pod as it would violate the pod's disruption budget.",
    }));
    assert_eq!(
        cause(refused),
        "The disruption budget b needs 1 healthy pods and has 2 currently"
    );
    server.get(&format!("{PODS}/q")).await.is(200);
    evict("nope").await.is(404);
    let idle: Value = json!({ "metadata": { "name": "idle", "labels": { "app": "x" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    server.post(PODS, idle).await.is(201);
    evict("idle").await.is(201);
}

#[tokio::test(start_paused = true)]
async fn logs_are_of_pods_and_their_containers() {
    let server = Server::new();
    pod(&server, "p").await;
    let path = format!("{PODS}/p/log");
    server.send(&format!("GET {path}"), "").await.is(204);
    server
        .get(&format!("{path}?container=zzz"))
        .await
        .is(400)
        .shows(json!({ "message": "container zzz is not valid for pod p" }));
    server.get(&format!("{PODS}/nope/log")).await.is(404);
    let several = json!({
        "metadata": { "name": "several" },
        "spec": { "containers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }] },
    });
    server.post(PODS, several).await.is(201);
    server
        .get(&format!("{PODS}/several/log"))
        .await
        .is(400)
        .shows(json!({ "message": "a container name must be specified for pod several, choose one of: [a b]" }));
    server
        .post(
            &format!("{PODS}/p/binding"),
            json!({ "target": { "name": "n1" } }),
        )
        .await
        .is(201);
    server
        .get(&path)
        .await
        .is(501)
        .shows(json!({ "reason": "NotImplemented" }));
}
