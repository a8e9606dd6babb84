//! Who someone is and what they may do: reviews, and requests in the part of someone else.

use serde_json::{Value, json};

use crate::seam::{Answer, CONFIG_MAPS, Server};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ACCESS: &str = "/apis/authorization.k8s.io/v1";

async fn as_jane(server: &Server, request: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    server
        .send(&format!("{request}\nImpersonate-User: jane"), body)
        .await
}

async fn grant(server: &Server, verbs: Value) {
    let role = json!({
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": verbs }],
    });
    server
        .post(&format!("{RBAC}/namespaces/default/roles"), role)
        .await
        .is(201);
    let binding = json!({
        "metadata": { "name": "jane" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane" }],
    });
    server
        .post(&format!("{RBAC}/namespaces/default/rolebindings"), binding)
        .await
        .is(201);
}

#[tokio::test(start_paused = true)]
async fn someone_else_may_what_roles_grant_and_no_more() {
    let server = Server::new();
    server.config_map("a", "1").await;
    as_jane(&server, &format!("GET {CONFIG_MAPS}"), Value::Null).await.is(403).shows(json!({
        "reason": "Forbidden",
        "message": "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"",
        "details": { "kind": "configmaps" },
    }));
    grant(&server, json!(["get", "list"])).await;
    as_jane(&server, &format!("GET {CONFIG_MAPS}"), Value::Null)
        .await
        .is(200);
    as_jane(&server, &format!("GET {CONFIG_MAPS}/a"), Value::Null)
        .await
        .is(200);
    as_jane(
        &server,
        &format!("GET {CONFIG_MAPS}?watch=true"),
        Value::Null,
    )
    .await
    .is(403);
    as_jane(&server, &format!("DELETE {CONFIG_MAPS}/a"), Value::Null)
        .await
        .is(403)
        .shows(json!({
            "details": { "name": "a", "kind": "configmaps" },
        }));
    as_jane(&server, "GET /api/v1/configmaps", Value::Null)
        .await
        .is(403);
    as_jane(&server, "GET /metrics", Value::Null)
        .await
        .is(403)
        .shows(json!({
            "message": "forbidden: User \"jane\" cannot get path \"/metrics\"", "details": {},
        }));
    as_jane(&server, "GET /apis", Value::Null).await.is(200);
    server.get(CONFIG_MAPS).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn reviews_say_what_requests_would_be_told() {
    let server = Server::new();
    grant(&server, json!(["get"])).await;
    let question = |verb: &str| json!({ "spec": { "resourceAttributes": { "verb": verb, "resource": "configmaps", "namespace": "default" } } });
    let path = format!("POST {ACCESS}/selfsubjectaccessreviews");
    for (verb, allowed) in [("get", true), ("list", false)] {
        let review = as_jane(&server, &path, question(verb)).await.is(201);
        review
            .shows(json!({ "kind": "SelfSubjectAccessReview", "status": { "allowed": allowed } }));
        let mut about = question(verb);
        about["spec"]["user"] = "jane".into();
        server
            .post(&format!("{ACCESS}/subjectaccessreviews"), about)
            .await
            .is(201)
            .shows(json!({
                "status": { "allowed": allowed },
            }));
    }
    server
        .post(
            &format!("{ACCESS}/selfsubjectaccessreviews"),
            question("delete"),
        )
        .await
        .is(201)
        .shows(json!({
            "status": { "allowed": true },
        }));
    server
        .post(
            &format!("{ACCESS}/selfsubjectaccessreviews"),
            json!({ "spec": {} }),
        )
        .await
        .is(422);
}

#[tokio::test(start_paused = true)]
async fn someone_is_told_who_they_are() {
    let server = Server::new();
    let path = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
    as_jane(&server, path, json!({}))
        .await
        .is(201)
        .shows(json!({
            "status": { "userInfo": { "username": "jane", "groups": ["system:authenticated"] } },
        }));
}

#[tokio::test(start_paused = true)]
async fn a_review_in_protobuf_is_answered_in_json() {
    let server = Server::new();
    // What `kubectl auth can-i get pods` sends.
    let body: &[u8] = b"k8s\0\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12<\n\x10\n\0\x12\0\x1a\0\"\0*\x002\x008\0B\0\x12\x1e\n\x1c\n\x07default\x12\x03get\x1a\0\"\0*\x04pods2\0:\0\x1a\x08\x08\0\x12\0\x1a\0 \0\x1a\0\"\0";
    let request = format!(
        "POST {ACCESS}/selfsubjectaccessreviews\nContent-Type: application/vnd.kubernetes.protobuf\nAccept: application/vnd.kubernetes.protobuf,application/json"
    );
    server.send(&request, body).await.is(201).shows(json!({
        "spec": { "resourceAttributes": { "namespace": "default", "verb": "get", "resource": "pods" } },
        "status": { "allowed": true },
    }));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_protobuf_does_not_know_is_refused() {
    let server = Server::new();
    let request = format!("POST {CONFIG_MAPS}\nContent-Type: application/vnd.kubernetes.protobuf");
    let body: &[u8] = b"k8s\0\n\x18\n\x0eexample.com/v1\x12\x06Widget\x12\0";
    server.send(&request, body).await.is(415);
    server.send(&request, &b"not protobuf"[..]).await.is(400);
}
