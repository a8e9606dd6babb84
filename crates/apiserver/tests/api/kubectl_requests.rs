//! What kubectl 1.32 sends, command by command, without kubectl: the requests as they were
//! recorded, and of the answers what kubectl goes on with.

#[path = "kubectl_requests/custom.rs"]
mod custom;
#[path = "kubectl_requests/protobuf.rs"]
mod protobuf;
#[path = "kubectl_requests/reading.rs"]
mod reading;
#[path = "kubectl_requests/writing.rs"]
mod writing;

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::controllers::{Controllers, ControllersConfig};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::Service as _;

use self::protobuf::Message;
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
