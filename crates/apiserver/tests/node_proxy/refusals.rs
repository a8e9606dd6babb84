//! What never reaches a kubelet.

use serde_json::json;

use crate::cluster::{Cluster, PODS, proxy_to};
use crate::kubelet::Kubelet;

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_a_kubelet_is_asked() {
    let mut kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("two", &["a", "b"]).await;
    cluster.pod("one", &["c"]).await;
    cluster.pod_on(None, "nowhere", &["c"]).await;
    cluster.pod_on(Some("gone"), "lost", &["c"]).await;
    let choose = "a container name must be specified for pod two, choose one of: [a b]";
    for (path, code, message) in [
        ("two/log", 400, choose),
        ("two/exec?command=x", 400, choose),
        ("two/attach", 400, choose),
        (
            "two/log?container=x",
            400,
            "container x is not valid for pod two",
        ),
        (
            "two/exec?container=x",
            400,
            "container x is not valid for pod two",
        ),
        (
            "nowhere/exec",
            400,
            "pod nowhere does not have a host assigned",
        ),
        (
            "nowhere/attach",
            400,
            "pod nowhere does not have a host assigned",
        ),
        (
            "nowhere/portforward",
            400,
            "pod nowhere does not have a host assigned",
        ),
        ("none/log", 404, "pods \"none\" not found"),
        ("none/exec", 404, "pods \"none\" not found"),
        ("lost/log", 404, "nodes \"gone\" not found"),
        ("one/exec?command=x", 400, "Upgrade request required"),
        ("one/portforward", 400, "Upgrade request required"),
        (
            "one/log?tailLines=-1",
            422,
            "PodLogOptions \"one\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "one/log?limitBytes=x",
            400,
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        let refused = cluster.send(&format!("GET {PODS}/{path}")).await.is(code);
        assert_eq!(refused.message(), message, "{path}");
    }
    cluster
        .send(&format!("GET {PODS}/nowhere/log"))
        .await
        .is(204);
    cluster.send(&format!("POST {PODS}/one/log")).await.is(405);
    cluster.send(&format!("PUT {PODS}/one/exec")).await.is(405);
    cluster
        .send("GET /api/v1/nodes/gone/proxy/pods")
        .await
        .is(404);
    cluster
        .send("GET /api/v1/nodes/n:1/proxy/pods")
        .await
        .is(501);
    cluster
        .send("GET /api/v1/nodes/a:b:c:d/proxy/pods")
        .await
        .is(400);
    assert!(kubelet.was_not_asked());
    cluster.stopped().await;
}

#[tokio::test]
async fn nodes_on_other_machines_are_not_contacted() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::with("10.0.0.1:10250", proxy_to(&kubelet), |_| {}).await;
    cluster.pod("p", &["c"]).await;
    for path in [
        format!("{PODS}/p/log"),
        format!("{PODS}/p/exec?command=x"),
        "/api/v1/nodes/n/proxy/pods".to_owned(),
    ] {
        let refused = cluster.send(&format!("GET {path}")).await.is(501);
        let message = refused.message();
        assert!(
            message.contains("policy of this embedded server"),
            "{message}"
        );
        assert!(message.contains("10.0.0.1:10250"), "{message}");
    }
    cluster.stopped().await;
}

#[tokio::test]
async fn a_websocket_does_what_a_post_does_and_needs_the_same_right() {
    let kubelet = Kubelet::start().await;
    let cluster = Cluster::new(&kubelet).await;
    cluster.pod("p", &["c"]).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    for (name, verbs) in [
        ("reader", json!(["get"])),
        ("writer", json!(["get", "create"])),
    ] {
        let rule =
            json!({ "apiGroups": [""], "resources": ["pods/exec", "pods/log"], "verbs": verbs });
        let role = json!({ "metadata": { "name": name }, "rules": [rule] });
        cluster.create(&format!("{rbac}/roles"), role).await;
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name }],
        });
        cluster
            .create(&format!("{rbac}/rolebindings"), binding)
            .await;
    }
    let exec = |user: &str| format!("GET {PODS}/p/exec?command=x\nImpersonate-User: {user}");
    let refused = cluster.send(&exec("reader")).await.is(403);
    assert_eq!(
        refused.message(),
        "pods \"p\" is forbidden: User \"reader\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"default\""
    );
    let log = format!("GET {PODS}/p/log\nImpersonate-User: reader");
    cluster.send(&log).await.is(200);
    cluster.tunnel(&exec("writer"), "websocket").await;
    cluster.stopped().await;
}
