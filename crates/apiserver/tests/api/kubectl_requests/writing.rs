//! Commands that write.

use serde_json::json;

use super::protobuf::{Message, entry, field, message, metadata, number};
use super::{ANY_JSON, DEPLOYMENTS, JSON, Kubectl, MERGE, NS, PROTOBUF, SETS, STRATEGIC, set};

#[tokio::test(start_paused = true)]
async fn create_from_files_and_by_command() {
    let k = Kubectl::new();
    k.openapi("apis/apps/v1").await;
    let query = "fieldManager=kubectl-create&fieldValidation=Strict";
    k.json(&format!("POST {SETS}?{query}"), set("web"))
        .await
        .is(201)
        .of("ReplicaSet");
    let mut unknown = set("typo");
    unknown["spec"]["replicsa"] = 1.into();
    let refused = k
        .json(&format!("POST {SETS}?{query}"), unknown)
        .await
        .is(400);
    assert!(
        refused
            .text("message")
            .contains(r#"unknown field "spec.replicsa""#)
    );

    let labels = |labels: &str| field(11, entry("app", labels));
    let container = message(&[field(1, "c"), field(2, "i")]);
    let template = message(&[
        field(1, message(&[metadata(""), labels("web")])),
        field(2, field(2, container)),
    ]);
    let deployment = message(&[
        number(1, 2),
        field(2, field(1, entry("app", "web"))),
        field(3, template),
        field(4, field(1, "")),
    ]);
    let rule = message(&[field(1, "get"), field(2, ""), field(3, "pods")]);
    let subject = message(&[
        field(1, "ServiceAccount"),
        field(2, ""),
        field(3, "robot"),
        field(4, "default"),
    ]);
    let role = message(&[
        field(1, "rbac.authorization.k8s.io"),
        field(2, "Role"),
        field(3, "r"),
    ]);
    let rbac = "rbac.authorization.k8s.io/v1";
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let config_maps = format!("{NS}/configmaps");
    for (path, body, check, value) in [
        (
            "/api/v1/namespaces".to_owned(),
            Message::new(
                "v1",
                "Namespace",
                &[
                    field(1, metadata("team")),
                    field(2, ""),
                    field(3, field(1, "")),
                ],
            ),
            "status.phase",
            json!("Active"),
        ),
        (
            config_maps.clone(),
            Message::new(
                "v1",
                "ConfigMap",
                &[field(1, metadata("c")), field(2, entry("a", "b"))],
            ),
            "data.a",
            json!("b"),
        ),
        (
            format!("{NS}/secrets"),
            Message::new(
                "v1",
                "Secret",
                &[
                    field(1, metadata("s")),
                    field(2, entry("a", "b")),
                    field(3, "Opaque"),
                ],
            ),
            "data.a",
            json!("Yg=="),
        ),
        (
            format!("{NS}/serviceaccounts"),
            Message::new("v1", "ServiceAccount", &[field(1, metadata("robot"))]),
            "metadata.name",
            json!("robot"),
        ),
        (
            DEPLOYMENTS.to_owned(),
            Message::new(
                "apps/v1",
                "Deployment",
                &[
                    field(1, metadata("web")),
                    field(2, deployment),
                    field(3, ""),
                ],
            ),
            "spec.replicas",
            json!(2),
        ),
        (
            format!("{roles}/roles"),
            Message::new(
                rbac,
                "Role",
                &[field(1, metadata("r")), field(2, rule.clone())],
            ),
            "metadata.name",
            json!("r"),
        ),
        (
            format!("{roles}/rolebindings"),
            Message::new(
                rbac,
                "RoleBinding",
                &[field(1, metadata("rb")), field(2, subject), field(3, role)],
            ),
            "roleRef.name",
            json!("r"),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned(),
            Message::new(
                rbac,
                "ClusterRole",
                &[field(1, metadata("cr")), field(2, rule)],
            ),
            "metadata.name",
            json!("cr"),
        ),
    ] {
        let created = k.protobuf(&format!("{path}?{query}"), body).await.is(201);
        assert_eq!(created.content_type, "application/json");
        assert_eq!(*created.at(check), value, "{path}");
        assert!(created.at("metadata.creationTimestamp").is_string());
        assert!(
            created.at("metadata.generateName").is_null(),
            "{}",
            created.body
        );
    }
    let dry = Message::new("v1", "ConfigMap", &[field(1, metadata("dry"))]);
    k.protobuf(&format!("{config_maps}?dryRun=All&{query}"), dry)
        .await
        .is(201);
    k.get(&format!("{config_maps}/dry"), JSON).await.is(404);

    let pod = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "p", "labels": { "run": "p" } },
        "spec": { "containers": [{ "name": "p", "image": "i", "resources": {} }],
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst" }, "status": {} });
    k.json(&format!("POST {NS}/pods?fieldManager=kubectl-run"), pod)
        .await
        .is(201);
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "ports": [{ "protocol": "TCP", "port": 80, "targetPort": 80 }], "selector": { "app": "web" } },
        "status": { "loadBalancer": {} } });
    k.json(
        &format!("POST {NS}/services?fieldManager=kubectl-expose"),
        service,
    )
    .await
    .is(201);
}

#[tokio::test(start_paused = true)]
async fn apply_on_the_client_side() {
    let k = Kubectl::new();
    let web = format!("{SETS}/web");
    let query = "fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
    k.openapi("apis/apps/v1").await;
    k.get(&web, JSON).await.is(404);
    k.json(&format!("POST {SETS}?{query}"), set("web"))
        .await
        .is(201);

    k.get(&web, JSON).await.is(200);
    k.get(
        "/openapi/v2?timeout=32s",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    )
    .await
    .is(406);
    let change = json!({ "spec": { "replicas": 3, "template": { "spec": {
        "$setElementOrder/containers": [{ "name": "c" }],
        "containers": [{ "name": "c", "image": "i:2" }],
    } } } });
    let dry = k
        .patch(
            &format!("{web}?dryRun=All&{query}"),
            STRATEGIC,
            change.clone(),
        )
        .await
        .is(200);
    assert_eq!(*dry.at("spec.replicas"), 3);
    assert_eq!(*k.get(&web, JSON).await.at("spec.replicas"), 2);
    let applied = k
        .patch(&format!("{web}?{query}"), STRATEGIC, change)
        .await
        .is(200);
    assert_eq!(
        applied.at("spec.template.spec.containers")[0]["image"],
        "i:2"
    );

    // On the server side is not supported yet, and says so.
    let request = format!("PATCH {web}?fieldManager=kubectl&fieldValidation=Strict&force=false");
    let body = set("web").to_string().into_bytes();
    let refused = k
        .send(&request, JSON, "application/apply-patch+yaml", body)
        .await;
    assert!([415, 501].contains(&refused.code), "{}", refused.body);
    assert!(
        refused.text("message").contains("does not support"),
        "{}",
        refused.body
    );
}

#[tokio::test(start_paused = true)]
async fn commands_that_change_objects() {
    let k = Kubectl::new();
    let web = format!("{SETS}/web");
    k.json(&format!("POST {SETS}"), set("web")).await.is(201);
    k.json(&format!("POST {DEPLOYMENTS}"), {
        let mut deployment = set("web");
        deployment["kind"] = "Deployment".into();
        deployment
    })
    .await
    .is(201);
    let deployment = format!("{DEPLOYMENTS}/web");

    k.get(&web, JSON).await.is(200);
    let patch = json!({ "spec": { "replicas": 4 } });
    k.patch(
        &format!("{web}?fieldManager=kubectl-patch"),
        STRATEGIC,
        patch,
    )
    .await
    .is(200);
    let status = json!({ "status": { "replicas": 1 } });
    k.get(&format!("{web}/status"), JSON).await.is(200);
    let patched = k
        .patch(
            &format!("{web}/status?fieldManager=kubectl-patch"),
            MERGE,
            status,
        )
        .await
        .is(200);
    assert_eq!(*patched.at("status.replicas"), 1);

    let edit = format!("{web}?fieldManager=kubectl-edit&fieldValidation=Strict");
    k.openapi("apis/apps/v1").await;
    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    k.patch(&edit, STRATEGIC, labels).await.is(200);

    let mut object = k.get(&web, JSON).await.is(200).body;
    object["spec"]["replicas"] = 5.into();
    let replace = format!("PUT {web}?fieldManager=kubectl-replace&fieldValidation=Strict");
    k.json(&replace, object).await.is(200);

    for manager in ["kubectl-label", "kubectl-annotate"] {
        let path = format!("{web}?fieldManager={manager}");
        k.patch(
            &path,
            MERGE,
            json!({ "metadata": { "labels": { "c": null } } }),
        )
        .await
        .is(200);
    }

    let scale = json!({ "spec": { "replicas": 6 } });
    let scaled = k
        .patch(&format!("{web}/scale"), MERGE, scale)
        .await
        .is(200)
        .of("Scale");
    assert_eq!(*scaled.at("spec.replicas"), 6);
    let mut scale = k.get(&format!("{web}/scale"), JSON).await.is(200).body;
    scale["spec"]["replicas"] = 7.into();
    k.json(&format!("PUT {web}/scale"), scale)
        .await
        .is(200)
        .of("Scale");
    assert_eq!(*k.get(&web, JSON).await.at("spec.replicas"), 7);

    k.get(&deployment, ANY_JSON).await.is(200);
    let image = json!({ "spec": { "template": { "spec": {
        "$setElementOrder/containers": [{ "name": "c" }],
        "containers": [{ "image": "i:9", "name": "c" }],
    } } } });
    let path = format!("{deployment}?fieldManager=kubectl-set");
    k.patch(&path, STRATEGIC, image).await.is(200);
    for body in [
        json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } } } } }),
        json!({ "spec": { "paused": true } }),
    ] {
        let path = format!("{deployment}?fieldManager=kubectl-rollout");
        k.patch(&path, STRATEGIC, body).await.is(200);
    }
    let changed = k.get(&deployment, JSON).await;
    assert_eq!(
        changed.at("spec.template.spec.containers")[0]["image"],
        "i:9"
    );
    assert_eq!(*changed.at("metadata.generation"), 4);
    k.await_name(DEPLOYMENTS, "web").await;
    // History: what kubectl asks for in protobuf it takes in JSON too.
    k.get(&deployment, PROTOBUF).await.is(200).of("Deployment");
    k.get(&format!("{SETS}?labelSelector=app%3Dweb"), PROTOBUF)
        .await
        .is(200)
        .of("ReplicaSetList");
}

#[tokio::test(start_paused = true)]
async fn delete_and_wait_until_it_is_gone() {
    let mut k = Kubectl::new();
    k.json(&format!("POST {SETS}"), set("web")).await.is(201);
    let request = format!("DELETE {SETS}/web");
    let deleted = k
        .json(&request, json!({ "propagationPolicy": "Background" }))
        .await
        .is(200);
    assert!(
        deleted.at("details.uid").is_string(),
        "what to wait for: {}",
        deleted.body
    );
    k.get(&format!("{SETS}/web"), JSON).await.is(404);

    let pod = |name: &str| {
        json!({ "metadata": { "name": name },
        "spec": { "containers": [{ "name": "c", "image": "i" }] } })
    };
    for (name, grace) in [("now", 1), ("force", 0)] {
        k.json(&format!("POST {NS}/pods"), pod(name)).await.is(201);
        k.live().await;
        let options = json!({ "gracePeriodSeconds": grace, "propagationPolicy": "Background" });
        let deleted = k
            .json(&format!("DELETE {NS}/pods/{name}"), options)
            .await
            .is(200);
        assert!(deleted.at("metadata.uid").is_string(), "{}", deleted.body);
        let list = k.await_name(&format!("{NS}/pods"), name).await;
        let left = list.at("items").as_array().unwrap().len();
        assert_eq!(left, usize::try_from(grace).unwrap());
        k.live().await;
        k.get(&format!("{NS}/pods/{name}"), JSON).await.is(404);
    }

    let all = k
        .get(&format!("{NS}/pods"), JSON)
        .await
        .is(200)
        .of("PodList");
    assert!(all.at("items").as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nodes_are_cordoned_drained_and_tainted() {
    let mut k = Kubectl::new();
    let node = "/api/v1/nodes/node-1";
    k.json(
        "POST /api/v1/nodes",
        json!({ "metadata": { "name": "node-1" } }),
    )
    .await
    .is(201);
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    k.json(&format!("POST {NS}/pods"), pod).await.is(201);
    k.live().await;

    k.get(node, JSON).await.is(200);
    let cordon = json!({ "spec": { "unschedulable": true } });
    let cordoned = k.patch(node, STRATEGIC, cordon).await.is(200);
    assert_eq!(*cordoned.at("spec.unschedulable"), true);
    let taint =
        json!({ "spec": { "taints": [{ "effect": "NoSchedule", "key": "a", "value": "b" }] } });
    let path = format!("{node}?fieldManager=kubectl-taint&fieldValidation=Strict");
    k.patch(&path, STRATEGIC, taint).await.is(200);

    let on_node = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1&limit=500";
    let pods = k.get(on_node, PROTOBUF).await.is(200).of("PodList");
    assert_eq!(pods.at("items").as_array().unwrap().len(), 1);
    let core = k.get("/api/v1", JSON).await.is(200);
    let resources = core.at("resources").as_array().unwrap();
    let eviction = resources
        .iter()
        .find(|resource| resource["name"] == "pods/eviction")
        .unwrap();
    assert_eq!(
        (&eviction["group"], &eviction["version"], &eviction["kind"]),
        (&json!("policy"), &json!("v1"), &json!("Eviction"))
    );
    let evict = json!({ "kind": "Eviction", "apiVersion": "policy/v1",
        "metadata": { "name": "p", "namespace": "default" }, "deleteOptions": {} });
    k.json(&format!("POST {NS}/pods/p/eviction"), evict)
        .await
        .is(201);
    k.live().await;
    k.get(&format!("{NS}/pods/p"), PROTOBUF).await.is(404);
}
