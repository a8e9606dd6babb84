use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube_client::api::{Api, DeleteParams, PostParams, Preconditions};
use kube_client::{Client, Error};
use tokio::time::timeout;

use super::MirrorError;
use crate::pod::{CONFIG_HASH, CONFIG_MIRROR, PodName, PodUid, is_deleting, is_mirror_of};

/// How long the API server has to answer. Nobody is to wait for one that hangs: not a static pod to
/// be started, of which the API server itself may be one, nor the clean-up of all pods.
const LIMIT: Duration = Duration::from_secs(10);

/// Makes and removes mirror pods. Cheap to clone.
///
/// Each request may take 10 s. A mirror pod shows a static pod in the API server, and is owned by
/// the node. Who deletes it does not stop the static pod: it is made anew.
///
/// Answers to kubelet's `MirrorClient`.
#[derive(Clone)]
pub struct MirrorClient {
    client: Client,
    node_name: Arc<str>,
    node: Arc<dyn Fn() -> Option<Arc<Node>> + Send + Sync>,
}

impl MirrorClient {
    /// A client for the static pods of a node, which `node` gets as soon as it is registered.
    pub fn new(
        client: Client,
        node_name: impl Into<Arc<str>>,
        node: impl Fn() -> Option<Arc<Node>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            client,
            node_name: node_name.into(),
            node: Arc::new(node),
        }
    }

    /// Sees to it that a static pod has a mirror pod that shows it as it is, given the one it has.
    ///
    /// One that shows something else, or is being deleted, is removed and made anew.
    ///
    /// # Errors
    ///
    /// As of [`create`](Self::create) and [`delete`](Self::delete).
    ///
    /// # Cancel safety
    ///
    /// Cancelled in between, the mirror pod may be gone and not made anew: call it again.
    pub async fn reconcile(&self, pod: &Pod, mirror: Option<&Pod>) -> Result<(), MirrorError> {
        if let Some(mirror) = mirror {
            if !is_deleting(mirror) && is_mirror_of(mirror, pod) {
                return Ok(());
            }
            let uid = PodUid::of(mirror);
            if !self.delete(&PodName::of(mirror), Some(&uid)).await? {
                return Ok(());
            }
        }
        self.create(pod).await
    }

    /// Makes the mirror pod of a static pod. One of the same static pod that is there is good.
    ///
    /// # Errors
    ///
    /// The node is not known or being deleted, or the API server does not take the pod.
    ///
    /// # Cancel safety
    ///
    /// The pod may be made all the same.
    pub async fn create(&self, pod: &Pod) -> Result<(), MirrorError> {
        let name = PodName::of(pod);
        let mirror = self.mirror(pod, &name)?;
        let api = self.api(&name);
        let failed = |source| MirrorError::Api {
            pod: name.clone(),
            source,
        };
        match in_time(&name, api.create(&PostParams::default(), &mirror)).await? {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.is_already_exists() => {
                let there = in_time(&name, api.get(&name.name)).await?;
                let there = there.map_err(failed)?;
                if is_mirror_of(&there, pod) {
                    Ok(())
                } else {
                    Err(failed(Error::Api(status)))
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes a mirror pod at once, if it is the one of this uid, and says whether it did. One
    /// that is gone, or of which there is another by now, is left alone.
    ///
    /// # Errors
    ///
    /// The API server could not be asked, or said no.
    ///
    /// # Cancel safety
    ///
    /// The pod may be removed all the same.
    pub async fn delete(&self, name: &PodName, uid: Option<&PodUid>) -> Result<bool, MirrorError> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: uid.map(|uid| Preconditions {
                uid: Some(uid.to_string()),
                resource_version: None,
            }),
            ..Default::default()
        };
        let api = self.api(name);
        match in_time(name, api.delete(&name.name, &params)).await? {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(false),
            Err(source) => Err(MirrorError::Api {
                pod: name.clone(),
                source,
            }),
        }
    }

    fn mirror(&self, pod: &Pod, name: &PodName) -> Result<Pod, MirrorError> {
        let annotations = pod.metadata.annotations.clone();
        let mut annotations = annotations.unwrap_or_default();
        let hash = annotations.get(CONFIG_HASH).cloned();
        let hash = hash.ok_or_else(|| MirrorError::NoHash(name.clone()))?;
        annotations.insert(CONFIG_MIRROR.into(), hash);

        let node = (self.node)().ok_or_else(|| MirrorError::NoNode(name.clone()))?;
        if node.metadata.deletion_timestamp.is_some() {
            return Err(MirrorError::NodeDeleted(name.clone()));
        }
        let uid = node.metadata.uid.clone().filter(|uid| !uid.is_empty());
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.node_name.to_string(),
            uid: uid.ok_or_else(|| MirrorError::NoNode(name.clone()))?,
            controller: Some(true),
            block_owner_deletion: None,
        };
        let mut spec = pod.spec.clone().unwrap_or_default();
        spec.node_name = Some(self.node_name.to_string());
        Ok(Pod {
            metadata: ObjectMeta {
                name: pod.metadata.name.clone(),
                namespace: pod.metadata.namespace.clone(),
                labels: pod.metadata.labels.clone(),
                annotations: Some(annotations),
                owner_references: Some(vec![owner]),
                ..Default::default()
            },
            spec: Some(spec),
            status: None,
        })
    }

    fn api(&self, name: &PodName) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &name.namespace)
    }
}

async fn in_time<T>(
    name: &PodName,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, MirrorError> {
    let answer = timeout(LIMIT, call).await;
    answer.map_err(|_| MirrorError::Late {
        pod: name.clone(),
        limit: LIMIT,
    })
}

impl std::fmt::Debug for MirrorClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MirrorClient")
            .field(&self.node_name)
            .finish()
    }
}
