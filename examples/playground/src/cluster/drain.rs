use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, DeleteParams, ListParams};
use kube_client::{Client, ResourceExt as _};
use tokio::time::{sleep, timeout};

/// How long pods may take to end.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often is looked whether they have.
const PACE: Duration = Duration::from_millis(200);

/// Deletes all ReplicaSets and all pods, and waits until no pod is left.
pub(super) async fn drain(client: &Client) -> Result<()> {
    let everything = ListParams::default();
    let sets: Api<ReplicaSet> = Api::all(client.clone());
    for set in sets.list(&everything).await? {
        let namespace = set.namespace().unwrap_or_default();
        let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), &namespace);
        gone(
            sets.delete(&set.name_any(), &DeleteParams::background())
                .await,
        )?;
    }
    let pods: Api<Pod> = Api::all(client.clone());
    let drained = async {
        loop {
            let left = pods.list(&everything).await?.items;
            if left.is_empty() {
                return anyhow::Ok(());
            }
            for pod in left {
                if pod.metadata.deletion_timestamp.is_none() {
                    let namespace = pod.namespace().unwrap_or_default();
                    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
                    gone(pods.delete(&pod.name_any(), &DeleteParams::default()).await)?;
                }
            }
            sleep(PACE).await;
        }
    };
    let drained = timeout(DEADLINE, drained).await;
    drained.context("not all pods have ended; they stay in the runtime")?
}

/// That something is gone already is as good as deleting it.
fn gone<T>(deleted: Result<T, kube_client::Error>) -> Result<(), kube_client::Error> {
    match deleted {
        Err(kube_client::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => deleted.map(drop),
    }
}
