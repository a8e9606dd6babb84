//! Pods to try things with.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use node_agent::pod::PodSource;

/// How long anything real may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A pod that has been through a source, with a uid of its own.
pub(crate) fn valid_pod(name: &str, namespace: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{name}{namespace}")},
        "spec": {
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "containers": [{
                "name": "ctr",
                "image": "image",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePolicy": "File",
            }],
        },
    }))
    .unwrap()
}

/// A manifest with the least in it.
pub(crate) fn manifest(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "image:1"}]},
    })
}

pub(crate) fn names(pods: &[Arc<Pod>]) -> Vec<String> {
    let names = pods.iter().map(|pod| pod.metadata.name.clone());
    names.map(Option::unwrap_or_default).collect()
}

/// The next set of a source.
pub(crate) async fn next(sets: &mut Receiver<(PodSource, Vec<Arc<Pod>>)>) -> Vec<Arc<Pod>> {
    let set = tokio::time::timeout(DEADLINE, sets.recv()).await;
    set.expect("the source delivers in time")
        .expect("the source runs")
        .1
}

/// The first of the next sets that has pods of these names.
pub(crate) async fn next_with(
    sets: &mut Receiver<(PodSource, Vec<Arc<Pod>>)>,
    wanted: &[&str],
) -> Vec<Arc<Pod>> {
    let found = async {
        loop {
            let (_, pods) = sets.recv().await.expect("the source runs");
            if names(&pods) == wanted {
                return pods;
            }
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("no set of {wanted:?} in time"))
}
