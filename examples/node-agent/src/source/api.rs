use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube_client::Client;
use kubewright_cache::{KubeListerWatcher, ObjectKey, ResourceVersion, Snapshot, Uid};
use kubewright_informer::{Event, HandlerConfig, InformerConfig, SharedInformer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::pod::PodSource;
use crate::source::{Closed, PodSets, SetSource};

/// The pods that the API server has bound to this node.
///
/// # Guarantees
///
/// - It delivers nothing before it has a complete picture, and from then on the complete picture
///   whenever that changes. While the server is away the last picture stands.
/// - Pods that did not change are the same `Arc` in one set and the next.
/// - A pod that cannot be decoded stays as it was last; one that never could is not there. Both are
///   logged, once for each of its versions.
///
/// Answers to `NewSourceApiserver` of Kubernetes 1.36.
pub struct ApiSource {
    client: Client,
    node_name: String,
    node_known: BoxFuture<'static, ()>,
}

/// The pods of the last picture.
#[derive(Default)]
struct Picture {
    pods: HashMap<ObjectKey, Seen>,
}

struct Seen {
    uid: Uid,
    version: ResourceVersion,
    /// The last state that could be decoded.
    pod: Option<Arc<Pod>>,
}

impl ApiSource {
    /// The pods of this node, as soon as `node_known` resolves.
    ///
    /// Pods are judged by their node (its taints, its room), so that they must not come before it.
    pub fn new(
        client: Client,
        node_name: impl Into<String>,
        node_known: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            client,
            node_name: node_name.into(),
            node_known: node_known.boxed(),
        }
    }
}

impl SetSource for ApiSource {
    const SOURCE: PodSource = PodSource::Api;

    async fn run(self, sets: PodSets, token: CancellationToken) {
        if token.run_until_cancelled(self.node_known).await.is_none() {
            return;
        }
        let selector = format!("spec.nodeName={}", self.node_name);
        let pods = KubeListerWatcher::<Pod>::all(self.client).fields(selector);
        let informer = match SharedInformer::<Pod>::new("pods", pods, InformerConfig::default()) {
            Ok(informer) => informer,
            Err(error) => {
                tracing::error!(%error, "pods of the API server cannot be watched");
                return;
            }
        };
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let handler = move |_: Event<Pod>| notify.notify_one();
        if let Err(error) = informer.add_handler(handler, HandlerConfig::named("pod source")) {
            tracing::error!(%error, "pods of the API server cannot be watched");
            return;
        }
        let stop = token.child_token();
        let deliver = async {
            let delivered = deliver(&informer, &changed, &sets);
            let _ = stop.run_until_cancelled(delivered).await;
            stop.cancel();
        };
        let (ran, ()) = tokio::join!(informer.run(stop.clone()), deliver);
        if let Err(error) = ran {
            tracing::error!(%error, "pods of the API server are not watched any more");
        }
    }
}

/// Delivers one picture after the other until nobody wants them.
async fn deliver(
    informer: &SharedInformer<Pod>,
    changed: &Notify,
    sets: &PodSets,
) -> Result<(), Closed> {
    if informer.synced().await.is_err() {
        // It has stopped before.
        return Ok(());
    }
    let mut picture = Picture::default();
    loop {
        let pods = picture.update(&informer.store().snapshot());
        sets.send(pods).await?;
        changed.notified().await;
    }
}

impl Picture {
    /// The pods of the next picture.
    fn update(&mut self, snapshot: &Snapshot<Pod>) -> Vec<Arc<Pod>> {
        let mut last = std::mem::take(&mut self.pods);
        let mut pods = Vec::with_capacity(snapshot.len());
        for object in snapshot.iter() {
            let meta = object.meta();
            let last = last
                .remove(object.key())
                .filter(|seen| &seen.uid == meta.uid());
            let seen = match last {
                Some(seen) if &seen.version == meta.resource_version() => seen,
                last => Seen {
                    uid: meta.uid().clone(),
                    version: meta.resource_version().clone(),
                    pod: match object.get() {
                        Ok(pod) => Some(pod),
                        Err(error) => {
                            tracing::error!(pod = %object.key(), %error, "a pod cannot be decoded");
                            last.and_then(|seen| seen.pod)
                        }
                    },
                },
            };
            pods.extend(seen.pod.clone());
            self.pods.insert(object.key().clone(), seen);
        }
        pods
    }
}

impl std::fmt::Debug for ApiSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ApiSource").field(&self.node_name).finish()
    }
}
