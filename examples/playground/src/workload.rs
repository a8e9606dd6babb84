use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use crate::web;

/// The name of the ReplicaSet that is shown.
pub const NAME: &str = "web";
/// Its namespace.
pub const NAMESPACE: &str = "default";

/// The image of the web server, where the playground makes it.
pub(crate) const WEB_IMAGE: &str = "playground/web:v1";

/// What the pods run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The playground's own [web server](crate::web), on the process runtime.
    Web {
        /// The port that it listens at, of the address of its pod.
        port: u16,
    },
    /// Whatever is in an image that the runtime has or can pull.
    Image {
        /// The name of the image.
        image: String,
        /// The command to run; the image's own if it is empty.
        command: Vec<String>,
    },
}

impl Program {
    /// The port at which pods say who they are, if they do.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Web { port } => Some(*port),
            Self::Image { .. } => None,
        }
    }

    fn container(&self) -> Value {
        match self {
            Self::Web { port } => web_container(*port),
            Self::Image { image, command } => json!({
                "name": NAME,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "resources": requests(),
            }),
        }
    }
}

/// The ReplicaSet that is shown. Nothing in it says where its pods run.
///
/// # Panics
///
/// Never: it is a ReplicaSet.
pub fn replica_set(replicas: usize, program: &Program) -> ReplicaSet {
    let labels = json!({"app": NAME});
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [program.container()],
                    // There is no name server in the cluster.
                    "dnsPolicy": "Default",
                    "terminationGracePeriodSeconds": 5,
                },
            },
        },
    });
    serde_json::from_value(set).expect("it is written as the API has it")
}

fn web_container(port: u16) -> Value {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let probe = |failures: u32| {
        json!({
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": failures,
        })
    };
    json!({
        "name": NAME,
        "image": WEB_IMAGE,
        "args": [web::ROLE],
        "ports": [{"name": "http", "containerPort": port}],
        "env": [
            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
            {"name": "PORT", "value": port.to_string()},
        ],
        "readinessProbe": probe(3),
        "livenessProbe": probe(10),
        "resources": requests(),
    })
}

fn requests() -> Value {
    json!({"requests": {"cpu": "10m", "memory": "16Mi"}})
}
