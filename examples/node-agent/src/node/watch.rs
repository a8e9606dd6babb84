use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kubewright_cache::KubeListerWatcher;
use kubewright_informer::{Error, InformerConfig, SharedInformer};
use tokio_util::sync::CancellationToken;

/// The agent's own node, as the API server has it. Cheap to clone.
///
/// Pods are judged by it, mirror pods are owned by it, and its status is written on top of it.
#[derive(Clone)]
pub struct NodeWatch {
    node_name: Arc<str>,
    informer: Arc<SharedInformer<Node>>,
}

impl NodeWatch {
    /// A watch of a node; nothing is asked before it [runs](Self::run).
    ///
    /// # Errors
    ///
    /// The configuration is invalid.
    pub fn new(
        client: Client,
        node_name: impl Into<Arc<str>>,
        config: InformerConfig,
    ) -> Result<Self, Error> {
        let node_name = node_name.into();
        let selector = format!("metadata.name={node_name}");
        let nodes = KubeListerWatcher::<Node>::all(client).fields(selector);
        let informer = Arc::new(SharedInformer::new("node", nodes, config)?);
        Ok(Self {
            node_name,
            informer,
        })
    }

    /// The node as it was seen last; `None` before that, and if it does not exist.
    pub fn node(&self) -> Option<Arc<Node>> {
        let node = self.informer.store().get(&*self.node_name)?;
        node.get().ok()
    }

    /// Waits until it is known what the API server has of the node, which may be nothing.
    ///
    /// # Errors
    ///
    /// The watch has stopped before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn synced(&self) -> Result<(), Error> {
        self.informer.synced().await
    }

    /// Watches until the token is cancelled.
    ///
    /// # Errors
    ///
    /// It ran before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the watch.
    pub async fn run(&self, token: CancellationToken) -> Result<(), Error> {
        self.informer.run(token).await
    }
}

impl std::fmt::Debug for NodeWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeWatch").field(&self.node_name).finish()
    }
}
