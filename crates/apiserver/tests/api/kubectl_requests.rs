//! What kubectl 1.32 sends, command by command, without kubectl: the requests as they were
//! recorded, and of the answers what kubectl goes on with.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::controllers::{Controllers, ControllersConfig};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::Service as _;

use crate::seam::{Server, at};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const JSON: &str = "application/json";
const ANY_JSON: &str = "application/json, */*";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf,application/json";
const PROTOBUF_BODY: &str = "application/vnd.kubernetes.protobuf";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const NS: &str = "/api/v1/namespaces/default";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// kubectl as the server sees it.
struct Kubectl {
    server: Server,
    controllers: Controllers,
}

struct Got {
    code: u16,
    content_type: String,
    body: Value,
}

impl Got {
    #[track_caller]
    fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.body);
        self
    }

    /// Checks the kind that the body says it is.
    #[track_caller]
    fn of(self, kind: &str) -> Self {
        assert_eq!(self.body["kind"], kind, "{}", self.body);
        self
    }

    fn at(&self, path: &str) -> &Value {
        at(&self.body, path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).as_str().unwrap_or_default().to_owned()
    }
}

impl Kubectl {
    fn new() -> Self {
        let server = Server::new();
        let controllers = server.0.controllers(ControllersConfig::default());
        Self {
            server,
            controllers,
        }
    }

    async fn send(&self, request: &str, accept: &str, content_type: &str, body: Vec<u8>) -> Got {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", accept)
            .header("accept-encoding", "gzip")
            .header("content-type", content_type)
            .header("kubectl-command", "kubectl test")
            .header(
                "user-agent",
                "kubectl/v1.32.4 (linux/amd64) kubernetes/0000000",
            )
            .body(Full::<bytes::Bytes>::from(body))
            .unwrap();
        let response = self.server.0.service().call(request).await.unwrap();
        let code = response.status().as_u16();
        let content_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let watch = path.contains("watch=true");
        let mut body = response.into_body();
        let bytes = if watch {
            // The first events; the rest is waited for by nobody here.
            let first = tokio::time::timeout(Duration::from_millis(10), body.frame()).await;
            let first = first.ok().flatten();
            let bytes = first.map(|frame| frame.unwrap().into_data().unwrap());
            let bytes = bytes.unwrap_or_default();
            bytes
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default()
                .to_vec()
        } else {
            body.collect().await.unwrap().to_bytes().to_vec()
        };
        Got {
            code,
            content_type,
            body: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Got {
        self.send(&format!("GET {path}"), accept, "", Vec::new())
            .await
    }

    /// POST, PUT and DELETE with a body of JSON.
    async fn json(&self, request: &str, body: Value) -> Got {
        self.send(request, JSON, JSON, body.to_string().into_bytes())
            .await
    }

    async fn patch(&self, path: &str, kind: &str, body: Value) -> Got {
        self.send(
            &format!("PATCH {path}"),
            JSON,
            kind,
            body.to_string().into_bytes(),
        )
        .await
    }

    async fn protobuf(&self, path: &str, message: Message) -> Got {
        self.send(
            &format!("POST {path}"),
            PROTOBUF,
            PROTOBUF_BODY,
            message.enveloped(),
        )
        .await
    }

    /// Lets the controllers act for a second.
    async fn live(&mut self) {
        let end = tokio::time::Instant::now() + Duration::from_secs(1);
        while let Some(at) = self.controllers.settle().await
            && at < end
        {
            tokio::time::sleep_until(at).await;
        }
        sleep(Duration::from_secs(1)).await;
        self.controllers.settle().await;
    }

    /// What every command that validates its input asks first.
    async fn openapi(&self, group_version: &str) {
        let index = self.get("/openapi/v3", JSON).await.is(200);
        let url = index.body["paths"][group_version]["serverRelativeURL"].as_str();
        let url = url
            .unwrap_or_else(|| panic!("{group_version} in {}", index.body))
            .to_owned();
        assert!(url.contains("hash="), "{url}");
        let document = self.get(&url, JSON).await.is(200);
        assert!(document.body["components"]["schemas"].is_object());
        assert!(document.body["paths"].is_object());
    }

    /// `rollout status`, `wait` and `delete`: a list of one name, then a watch from there.
    async fn await_name(&self, collection: &str, name: &str) -> Got {
        let only = format!("fieldSelector=metadata.name%3D{name}");
        let list = format!("{collection}?{only}&limit=500&resourceVersion=0");
        let list = self.get(&list, JSON).await.is(200);
        let version = list.text("metadata.resourceVersion");
        let watch = format!(
            "{collection}?allowWatchBookmarks=true&{only}&resourceVersion={version}&timeoutSeconds=431&watch=true"
        );
        self.get(&watch, JSON).await.is(200);
        list
    }
}

/// A message in protobuf, as kubectl writes it.
struct Message {
    api_version: &'static str,
    kind: &'static str,
    fields: Vec<u8>,
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field that holds text or another message.
fn field(tag: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    varint(tag << 3 | 2, &mut out);
    varint(content.as_ref().len() as u64, &mut out);
    out.extend_from_slice(content.as_ref());
    out
}

fn number(tag: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(tag << 3, &mut out);
    varint(value, &mut out);
    out
}

fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    message(&[field(1, key), field(2, value)])
}

/// Metadata with what kubectl always writes: empty text, and a creation time of nothing.
fn metadata(name: &str) -> Vec<u8> {
    message(&[
        field(1, name),
        field(2, ""),
        field(3, ""),
        field(4, ""),
        field(5, ""),
        field(6, ""),
        number(7, 0),
        field(8, ""),
    ])
}

impl Message {
    fn new(api_version: &'static str, kind: &'static str, parts: &[Vec<u8>]) -> Self {
        Self {
            api_version,
            kind,
            fields: message(parts),
        }
    }

    fn enveloped(self) -> Vec<u8> {
        let types = message(&[field(1, self.api_version), field(2, self.kind)]);
        let unknown = message(&[
            field(1, types),
            field(2, self.fields),
            field(3, ""),
            field(4, ""),
        ]);
        [b"k8s\0".as_slice(), &unknown].concat()
    }
}

fn set(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": name, "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        } },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "c", "image": "i:1" }] },
            },
        },
    })
}

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

#[tokio::test(start_paused = true)]
async fn explain_and_cluster_info() {
    let k = Kubectl::new();
    for group_version in ["api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"] {
        k.openapi(group_version).await;
    }
    let services = "/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue";
    k.get(services, JSON).await.is(200).of("ServiceList");
}
