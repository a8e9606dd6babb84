//! What is sent, and how it is refused.

use serde_json::{Value, json};

use crate::{CONFIG_MAPS, JSON};

const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

/// One request that is refused.
pub(crate) struct Case {
    pub(crate) request: &'static str,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    code: u16,
    reason: &'static str,
    /// What the message contains.
    says: &'static str,
}

fn set(selects: &str, labels: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": selects } },
            "template": {
                "metadata": { "labels": { "app": labels } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    })
}

type Row = (
    &'static str,
    String,
    &'static str,
    Vec<u8>,
    u16,
    &'static str,
    &'static str,
);

/// `METHOD path`, content type, body, and the answer: code, reason, and a part of the message.
pub(crate) fn table() -> Vec<Case> {
    let big = format!(
        r#"{{"metadata":{{"name":"a"}},"data":{{"k":"{}"}}}}"#,
        "x".repeat(3 << 20)
    );
    let named = |name: &str| json!({ "metadata": { "name": name } }).to_string();
    let list = |query: &str| format!("{CONFIG_MAPS}?{query}");
    let there = format!("{CONFIG_MAPS}/there");
    let rows: Vec<Row> = vec![
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            big.into(),
            413,
            "RequestEntityTooLarge",
            "3145728",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "text/plain",
            named("a").into(),
            415,
            "UnsupportedMediaType",
            "application/json",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            br#"{"metadata":{"name":"a""#.into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"[]".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"{\"metadata\":{\"name\":\"\xff\"}}".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "application/yaml",
            b"metadata: [".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "application/vnd.kubernetes.protobuf",
            b"k8s\0\x0a\xff".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            named("Bad_Name").into(),
            422,
            "Invalid",
            "metadata.name",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            named("").into(),
            422,
            "Invalid",
            "name or generateName is required",
        ),
        (
            "POST",
            SETS.into(),
            JSON,
            set("web", "other").to_string().into(),
            422,
            "Invalid",
            "spec.template.metadata.labels",
        ),
        (
            "POST",
            "/api/v1/namespaces/missing/configmaps".into(),
            JSON,
            named("a").into(),
            404,
            "NotFound",
            "missing",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            br#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#.into(),
            400,
            "BadRequest",
            "Secret",
        ),
        (
            "PUT",
            there.clone(),
            JSON,
            named("other").into(),
            400,
            "BadRequest",
            "there",
        ),
        (
            "PUT",
            there.clone(),
            JSON,
            br#"{"metadata":{"name":"there","resourceVersion":"1"}}"#.into(),
            409,
            "Conflict",
            "has been modified",
        ),
        (
            "PATCH",
            there.clone(),
            "text/plain",
            b"{}".into(),
            415,
            "UnsupportedMediaType",
            "",
        ),
        (
            "PATCH",
            there.clone(),
            "application/json-patch+json",
            b"{}".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "PATCH",
            there.clone(),
            "application/merge-patch+json",
            b"[1".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "DELETE",
            there,
            JSON,
            br#"{"propagationPolicy":"#.into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "GET",
            list("labelSelector=a+in"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "GET",
            list("fieldSelector=x.y%3Dz"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "x.y",
        ),
        (
            "GET",
            list("continue=garbage"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "continue",
        ),
        (
            "GET",
            list("resourceVersion=new"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "new",
        ),
        (
            "GET",
            list("resourceVersion=999999999"),
            JSON,
            b"".into(),
            504,
            "Timeout",
            "Too large resource version",
        ),
        (
            "GET",
            "/api/v1/nonsense".into(),
            JSON,
            b"".into(),
            404,
            "NotFound",
            "",
        ),
        (
            "POST",
            "/api/v1/configmaps".into(),
            JSON,
            named("a").into(),
            405,
            "MethodNotAllowed",
            "",
        ),
    ];
    rows.into_iter()
        .map(
            |(request, path, content_type, body, code, reason, says)| Case {
                request,
                path,
                content_type,
                body,
                code,
                reason,
                says,
            },
        )
        .collect()
}

impl Case {
    #[track_caller]
    pub(crate) fn check(&self, code: u16, body: &[u8]) {
        let Self { request, path, .. } = self;
        let body = String::from_utf8_lossy(body);
        let status: Value = serde_json::from_str(&body).unwrap_or_default();
        let (reason, message) = (
            &status["reason"],
            status["message"].as_str().unwrap_or_default(),
        );
        let right = code == self.code
            && *reason == self.reason
            && status["code"] == self.code
            && message.contains(self.says);
        let content = String::from_utf8_lossy(&self.body[..self.body.len().min(100)]);
        assert!(right, "{request} {path} {content}: {code} {body}");
    }
}
