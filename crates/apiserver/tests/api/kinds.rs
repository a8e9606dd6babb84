//! What each kind makes of its objects: defaults, addresses, rules, and merges by key.

use serde_json::{Value, json};

use crate::seam::{Answer, Server, at};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

fn pod(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i:1" }] } })
}

fn set(name: &str, replicas: i32) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "c", "image": "i:1" }] },
            },
        },
    })
}

async fn strategic(server: &Server, path: &str, patch: &Value) -> Answer {
    let request = format!("PATCH {path}\nContent-Type: application/strategic-merge-patch+json");
    server.send(&request, patch.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_complete_and_waits() {
    let server = Server::new();
    let mut sent = pod("p");
    sent["status"] = json!({ "phase": "Running" });
    let created = server.post(PODS, sent).await.is(201);
    assert_eq!(
        *created.at("status"),
        json!({ "phase": "Pending", "qosClass": "BestEffort" })
    );
    created.shows(json!({
        "metadata": { "generation": 1 },
        "spec": { "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "priority": 0 },
    }));
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_set_has_an_endpoint_of_its_own() {
    let server = Server::new();
    let created = server.post(SETS, set("r", 2)).await.is(201);
    assert_eq!(*created.at("status"), json!({ "replicas": 0 }));
    let path = format!("{SETS}/r");
    let status =
        json!({ "spec": { "replicas": 9 }, "status": { "replicas": 2, "observedGeneration": 1 } });
    server
        .merge(&format!("{path}/status"), status)
        .await
        .is(200)
        .shows(json!({
            "metadata": { "generation": 1 }, "spec": { "replicas": 2 }, "status": { "replicas": 2 },
        }));
    server
        .merge(
            &path,
            json!({ "spec": { "replicas": 3 }, "status": { "replicas": 7 } }),
        )
        .await
        .is(200)
        .shows(json!({
            "metadata": { "generation": 2 }, "spec": { "replicas": 3 }, "status": { "replicas": 2 },
        }));
    let nonsense = json!({ "status": { "replicas": 1, "readyReplicas": 2 } });
    server
        .merge(&format!("{path}/status"), nonsense)
        .await
        .is(422);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_does_not_select_its_pods_is_refused() {
    let server = Server::new();
    let mut sent = set("r", 1);
    sent["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    server.post(SETS, sent).await.is(422).shows(json!({
        "message": "ReplicaSet.apps \"r\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"r\"}: `selector` does not match template `labels`",
    }));
}

#[tokio::test(start_paused = true)]
async fn services_share_no_address() {
    let server = Server::new();
    let service = |name: &str, kind: &str| json!({ "metadata": { "name": name }, "spec": { "type": kind, "ports": [{ "port": 80 }] } });
    let first = server
        .post(SERVICES, service("a", "ClusterIP"))
        .await
        .is(201);
    let second = server
        .post(SERVICES, service("b", "NodePort"))
        .await
        .is(201);
    assert_ne!(first.at("spec.clusterIP"), second.at("spec.clusterIP"));
    assert!(at(&second.body["spec"]["ports"][0], "nodePort").is_u64());
    let mut taken = service("c", "ClusterIP");
    taken["spec"]["clusterIP"] = first.at("spec.clusterIP").clone();
    server.post(SERVICES, taken).await.is(422);
    // An update that does not speak of the address keeps it, and cannot change it.
    let kept = server
        .put(&format!("{SERVICES}/a"), service("a", "ClusterIP"))
        .await
        .is(200);
    assert_eq!(kept.at("spec.clusterIP"), first.at("spec.clusterIP"));
    server
        .merge(
            &format!("{SERVICES}/a"),
            json!({ "spec": { "clusterIP": "10.96.9.9" } }),
        )
        .await
        .is(422);
}

#[tokio::test(start_paused = true)]
async fn controllers_adopt_and_release_with_patches_by_uid() {
    let server = Server::new();
    let created = server.post(PODS, pod("p")).await.is(201);
    let path = format!("{PODS}/p");
    let owner = |uid: &str| json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid, "controller": true });
    let guarded = |references: Value, uid: &Value| json!({ "metadata": { "uid": uid, "ownerReferences": references } });
    let uid = created.at("metadata.uid");
    let adopt = guarded(json!([owner("1")]), uid);
    for _ in 0..2 {
        let adopted = strategic(&server, &path, &adopt).await.is(200);
        assert_eq!(*adopted.at("metadata.ownerReferences"), json!([owner("1")]));
    }
    let release = json!([{ "$patch": "delete", "uid": "1" }]);
    let elsewhere = guarded(release.clone(), &json!("another"));
    strategic(&server, &path, &elsewhere).await.is(422);
    let released = strategic(&server, &path, &guarded(release, uid))
        .await
        .is(200);
    assert!(released.at("metadata.ownerReferences").is_null());
}

#[tokio::test(start_paused = true)]
async fn containers_and_their_variables_merge_by_name() {
    let server = Server::new();
    server.post(SETS, set("r", 1)).await.is(201);
    let patch = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "c", "env": [{ "name": "X", "value": "1" }] },
    ] } } } });
    let path = format!("{SETS}/r");
    for _ in 0..2 {
        let answer = strategic(&server, &path, &patch).await.is(200);
        answer.shows(json!({ "metadata": { "generation": 2 } }));
    }
    let answer = server.get(&path).await;
    let containers = at(&answer.body, "spec.template.spec.containers");
    assert_eq!(containers[0]["image"], "i:1");
    assert_eq!(containers[0]["env"], json!([{ "name": "X", "value": "1" }]));
    let nameless =
        json!({ "spec": { "template": { "spec": { "containers": [{ "image": "i:2" }] } } } });
    strategic(&server, &path, &nameless)
        .await
        .is(500)
        .shows(json!({
            "message": "map: map[image:i:2] does not contain declared merge key: name",
        }));
}

#[tokio::test(start_paused = true)]
async fn unknown_and_repeated_fields_are_dropped_warned_of_or_refused() {
    let server = Server::new();
    let maps = crate::seam::CONFIG_MAPS;
    let unknown = |name: &str| json!({ "metadata": { "name": name }, "nope": 1 });
    let answer = server.post(maps, unknown("a")).await.is(201);
    assert_eq!(
        answer.headers["warning"],
        "299 - \"unknown field \\\"nope\\\"\""
    );
    assert!(answer.at("nope").is_null());
    let ignored = server
        .post(&format!("{maps}?fieldValidation=Ignore"), unknown("b"))
        .await
        .is(201);
    assert_eq!(ignored.headers.get("warning"), None);
    server
        .post(&format!("{maps}?fieldValidation=Strict"), unknown("c"))
        .await
        .is(400)
        .shows(json!({
            "message": "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"nope\"",
        }));
    server
        .send(
            &format!("POST {maps}?fieldValidation=Strict"),
            r#"{"metadata":{"name":"d"},"data":{"k":"1","k":"2"}}"#,
        )
        .await
        .is(400)
        .shows(json!({
            "message": "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\"",
        }));
}

#[tokio::test(start_paused = true)]
async fn one_event_and_one_autoscaler_have_two_faces() {
    let server = Server::new();
    let core = "/api/v1/namespaces/default/events";
    let event = json!({
        "metadata": { "name": "e" }, "message": "M", "reason": "R", "type": "Normal",
        "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" },
    });
    server.post(core, event).await.is(201);
    server
        .get("/apis/events.k8s.io/v1/namespaces/default/events/e")
        .await
        .is(200)
        .shows(json!({
            "apiVersion": "events.k8s.io/v1", "note": "M", "regarding": { "name": "p" }, "eventTime": null,
        }));
    let scalers = |version: &str| {
        format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers")
    };
    let scaler = json!({
        "metadata": { "name": "h" },
        "spec": { "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "d" }, "targetCPUUtilizationPercentage": 50 },
    });
    server.post(&scalers("v1"), scaler).await.is(201);
    let new = server.get(&format!("{}/h", scalers("v2"))).await.is(200);
    assert_eq!(
        new.at("spec.metrics")[0]["resource"]["target"]["averageUtilization"],
        50
    );
    server
        .get(&format!("{}/h", scalers("v1")))
        .await
        .is(200)
        .shows(json!({ "apiVersion": "autoscaling/v1", "spec": { "targetCPUUtilizationPercentage": 50 } }));
    // What only the newer form has by default shows in the older one too.
    let scaler = json!({
        "metadata": { "name": "d" },
        "spec": { "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "d" } },
    });
    server
        .post(&scalers("v1"), scaler)
        .await
        .is(201)
        .shows(json!({ "spec": { "targetCPUUtilizationPercentage": 80 } }));
}
