//! Commands that read.

use serde_json::json;

use super::protobuf::{Message, field, message, metadata, number};
use super::{AGGREGATED, ANY_JSON, JSON, Kubectl, NS, PROTOBUF, TABLE};

#[tokio::test(start_paused = true)]
async fn a_cold_cache_asks_for_version_and_groups() {
    let k = Kubectl::new();
    let version = k.get("/version?timeout=5s", ANY_JSON).await.is(200);
    assert!(version.text("gitVersion").starts_with("v1.36"));
    for (path, group, resource) in [("/api", "", "pods"), ("/apis", "apps", "replicasets")] {
        let groups = k
            .get(&format!("{path}?timeout=32s"), AGGREGATED)
            .await
            .is(200);
        let groups = groups.of("APIGroupDiscoveryList");
        assert_eq!(
            groups.content_type,
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        );
        let items = groups.body["items"].as_array().unwrap();
        let item = items
            .iter()
            .find(|item| item["metadata"]["name"].as_str().unwrap_or_default() == group)
            .unwrap();
        let resources = item["versions"][0]["resources"].as_array().unwrap();
        assert!(resources.iter().any(|known| known["resource"] == resource));
    }
    // A kubectl that does not know the aggregated form.
    for path in ["/api", "/apis", "/api/v1", "/apis/apps/v1"] {
        k.get(path, ANY_JSON).await.is(200);
    }
}

#[tokio::test(start_paused = true)]
async fn get_in_its_forms() {
    let mut k = Kubectl::new();
    let pod = json!({ "metadata": { "name": "p", "labels": { "app": "x" } },
        "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    k.json(&format!("POST {NS}/pods"), pod).await.is(201);
    k.live().await;

    let list = k
        .get(&format!("{NS}/pods?limit=500"), TABLE)
        .await
        .is(200)
        .of("Table");
    assert!(list.content_type.starts_with("application/json"));
    assert_eq!(list.at("columnDefinitions")[0]["name"], "Name");
    assert_eq!(list.at("rows")[0]["cells"][0], "p");
    assert_eq!(
        list.at("rows")[0]["object"]["kind"],
        "PartialObjectMetadata"
    );
    k.get(&format!("{NS}/pods/p"), TABLE)
        .await
        .is(200)
        .of("Table");
    k.get(&format!("{NS}/pods/p"), JSON).await.is(200).of("Pod");
    k.get("/api/v1/pods?limit=500", TABLE)
        .await
        .is(200)
        .of("Table");

    let sorted = k
        .get(&format!("{NS}/pods?includeObject=Object"), TABLE)
        .await
        .is(200);
    assert_eq!(sorted.at("rows")[0]["object"]["kind"], "Pod");

    let selected = "labelSelector=app+in+%28x%2Cy%29%2C%21z&limit=500";
    let selected = k.get(&format!("{NS}/pods?{selected}"), TABLE).await.is(200);
    assert_eq!(selected.at("rows").as_array().unwrap().len(), 1);
    let other = "fieldSelector=spec.nodeName%3Dother&limit=500";
    let other = k.get(&format!("{NS}/pods?{other}"), TABLE).await.is(200);
    assert!(other.at("rows").as_array().is_none_or(Vec::is_empty));

    let version = list.text("metadata.resourceVersion");
    let watch = format!("{NS}/pods?resourceVersion={version}&watch=true");
    k.get(&watch, TABLE).await.is(200);
    let watch = format!("{NS}/pods?fieldSelector=metadata.name%3Dp&resourceVersion=0&watch=true");
    let event = k.get(&watch, TABLE).await.is(200);
    assert_eq!(event.text("type"), "ADDED");
    assert_eq!(event.at("object")["kind"], "Table");

    for path in ["pods", "services", "replicationcontrollers"] {
        k.get(&format!("{NS}/{path}?limit=500"), TABLE)
            .await
            .is(200);
    }
    let missing = k
        .get(&format!("{NS}/pods/none"), TABLE)
        .await
        .is(404)
        .of("Status");
    assert_eq!(missing.text("details.kind"), "pods");
}

#[tokio::test(start_paused = true)]
async fn describe_events_and_logs() {
    let mut k = Kubectl::new();
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    let created = k.json(&format!("POST {NS}/pods"), pod).await.is(201);
    let uid = created.text("metadata.uid");
    k.live().await;
    let event = json!({
        "metadata": { "name": "p.1" }, "reason": "Started", "message": "it started", "type": "Normal",
        "involvedObject": { "kind": "Pod", "name": "p", "namespace": "default", "uid": uid },
    });
    k.json(&format!("POST {NS}/events"), event).await.is(201);

    k.get(&format!("{NS}/pods/p"), JSON).await.is(200);
    k.get(&format!("{NS}/pods/p"), PROTOBUF).await.is(200);
    let about = |name: &str| {
        format!(
            "{NS}/events?fieldSelector=involvedObject.kind%3DPod%2CinvolvedObject.uid%3D{uid}%2C\
             involvedObject.name%3D{name}%2CinvolvedObject.namespace%3Ddefault&limit=500"
        )
    };
    let events = k.get(&about("p"), PROTOBUF).await.is(200).of("EventList");
    assert_eq!(events.at("items").as_array().unwrap().len(), 1);
    let events = k.get(&about("q"), PROTOBUF).await.is(200);
    assert!(events.at("items").as_array().unwrap().is_empty());
    k.get(&format!("{NS}/events?limit=500"), PROTOBUF)
        .await
        .is(200)
        .of("EventList");

    k.get(&format!("{NS}/pods/p"), ANY_JSON).await.is(200);
    let log = k
        .get(&format!("{NS}/pods/p/log?container=c"), ANY_JSON)
        .await;
    assert!(
        log.code >= 400,
        "nothing runs, and that is said: {}",
        log.body
    );
    assert!(log.text("message").contains("does not support"));
}

#[tokio::test(start_paused = true)]
async fn access_is_reviewed() {
    let k = Kubectl::new();
    k.get("/api/v1", ANY_JSON)
        .await
        .is(200)
        .of("APIResourceList");
    let attributes = message(&[
        field(1, "default"),
        field(2, "delete"),
        field(3, ""),
        field(4, "*"),
        field(5, "pods"),
        field(6, ""),
        field(7, ""),
    ]);
    let group = "authorization.k8s.io/v1";
    let path = "/apis/authorization.k8s.io/v1";
    let review = Message::new(
        group,
        "SelfSubjectAccessReview",
        &[
            field(1, metadata("")),
            field(2, field(1, attributes)),
            field(3, message(&[number(1, 0), field(2, ""), field(3, "")])),
        ],
    );
    let review = k
        .protobuf(&format!("{path}/selfsubjectaccessreviews"), review)
        .await
        .is(201);
    assert_eq!(*review.at("status.allowed"), true);
    let review = Message::new(
        group,
        "SelfSubjectRulesReview",
        &[field(1, metadata("")), field(2, field(1, "default"))],
    );
    let review = k
        .protobuf(&format!("{path}/selfsubjectrulesreviews"), review)
        .await
        .is(201);
    assert!(
        !review
            .at("status.resourceRules")
            .as_array()
            .unwrap()
            .is_empty()
    );
    let whoami = Message::new(
        "authentication.k8s.io/v1",
        "SelfSubjectReview",
        &[field(1, metadata(""))],
    );
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let whoami = k.protobuf(path, whoami).await.is(201);
    assert!(whoami.at("status.userInfo.username").is_string());
}

#[tokio::test(start_paused = true)]
async fn explain_and_cluster_info() {
    let k = Kubectl::new();
    for group_version in ["api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"] {
        k.openapi(group_version).await;
    }
    let services = "/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue";
    k.get(services, JSON).await.is(200).of("ServiceList");
}
