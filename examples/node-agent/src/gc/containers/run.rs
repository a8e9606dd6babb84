use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use kubewright_cri::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{ContainerGcPolicy, LogDirectories, removable_containers, removable_sandboxes};
use crate::pod::PodUid;
use crate::runtime::{PodRuntime, RuntimeState};
use crate::source::SourcesReady;

/// Removes what the runtime has.
pub trait ContainerRemoval: PodRuntime {
    /// Removes a container and its log; one that still runs is ended by force.
    fn remove_container(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Stops and removes a sandbox.
    fn remove_sandbox(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Says which pods are of use.
pub trait PodStates: Send + Sync + 'static {
    /// Whether what a pod has on disk is of no use.
    fn should_pod_content_be_removed(&self, uid: &PodUid) -> bool;

    /// Whether what the runtime has of a pod is of no use.
    fn should_pod_runtime_be_removed(&self, uid: &PodUid) -> bool;
}

/// Of which pods all is collected; of others it is what a policy does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Pods that are gone.
    Deleted,
    /// Pods that have ended as well: when there is no room.
    Ended,
}

/// What containers are collected with.
pub struct ContainerGcParts<R, P> {
    /// Who has them.
    pub runtime: Arc<R>,
    /// Who says which pods are of use.
    pub states: P,
    /// Before all sources have spoken, nothing is taken for gone.
    pub ready: SourcesReady,
    /// Where logs are.
    pub logs: LogDirectories,
    /// What the time is.
    pub clock: Clock,
}

/// How containers are collected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerGcOptions {
    /// How often. Default: 1 min.
    pub period: Duration,
    /// Which are kept.
    pub policy: ContainerGcPolicy,
}

impl Default for ContainerGcOptions {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(60),
            policy: ContainerGcPolicy::default(),
        }
    }
}

/// Collects dead containers, sandboxes and logs.
///
/// Cheap to clone. Answers to kubelet's `ContainerGC`.
pub struct ContainerGc<R, P> {
    parts: Arc<ContainerGcParts<R, P>>,
    options: ContainerGcOptions,
}

impl<R: ContainerRemoval, P: PodStates> ContainerGc<R, P> {
    /// Collects nothing yet.
    pub fn new(parts: ContainerGcParts<R, P>, options: ContainerGcOptions) -> Self {
        Self {
            parts: Arc::new(parts),
            options,
        }
    }

    /// Collects in its time, until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once; what was not collected is the next time.
    pub async fn run(self, token: CancellationToken) {
        let collecting = async {
            loop {
                sleep(self.options.period).await;
                if let Err(error) = self.collect(Reach::Deleted).await {
                    tracing::warn!("container garbage collection failed: {error}");
                }
            }
        };
        let _ = token.run_until_cancelled(collecting).await;
    }

    /// Collects now.
    ///
    /// # Errors
    ///
    /// The runtime does not list its pods: logs are not looked at then. What cannot be removed is
    /// logged, and does not keep the rest.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Self::run).
    pub async fn collect(&self, reach: Reach) -> Result<(), Error> {
        let parts = &*self.parts;
        let (states, all_ready) = (&parts.states, parts.ready.all());
        let is_useless = |uid: &PodUid| {
            states.should_pod_content_be_removed(uid)
                || (reach == Reach::Ended && states.should_pod_runtime_be_removed(uid))
        };

        let pods = parts.runtime.list_pods().await?;
        let (policy, now) = (self.options.policy, parts.clock.now());
        let is_gone = |uid: &PodUid| all_ready && is_useless(uid);
        for id in removable_containers(&pods, policy, is_gone, now) {
            if let Err(error) = parts.runtime.remove_container(&id).await {
                tracing::warn!(container = %id, "cannot remove container: {error}");
            }
        }
        // Those whose containers went just now can go as well.
        let pods = parts.runtime.list_pods().await?;
        for id in removable_sandboxes(&pods, is_useless) {
            if let Err(error) = parts.runtime.remove_sandbox(&id).await {
                tracing::warn!(sandbox = %id, "cannot remove sandbox: {error}");
            }
        }
        if all_ready {
            let is_gone = |uid: &PodUid| states.should_pod_content_be_removed(uid);
            parts.logs.remove_pods(is_gone).await;
        }
        let containers = pods.iter().flat_map(|pod| &pod.containers);
        let going_on = containers.filter(|it| it.state != RuntimeState::Exited);
        let going_on: HashSet<_> = going_on.map(|it| &*it.id.id).collect();
        parts.logs.remove_links(&going_on).await;
        Ok(())
    }
}

impl<R, P> Clone for ContainerGc<R, P> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            options: self.options.clone(),
        }
    }
}

impl<R, P> fmt::Debug for ContainerGc<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerGc")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<R, P> fmt::Debug for ContainerGcParts<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerGcParts")
            .field("ready", &self.ready)
            .field("logs", &self.logs)
            .finish_non_exhaustive()
    }
}
