//! What is done for a pod in one turn of its worker.

mod clean_up;
mod sync;
mod terminate;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::runtime::ObservedPod;
use crate::status::Eviction;
use crate::worker::{PodSyncer, SyncTurn, Synced, TurnError};

/// The life of pods: they are synced, terminated, and cleaned up after.
///
/// Answers to `SyncPod`, `SyncTerminatingPod`, `SyncTerminatingRuntimePod` and `SyncTerminatedPod`
/// of Kubernetes 1.36's kubelet.
pub(super) struct PodLifecycle {
    pub(super) parts: Arc<Parts>,
}

impl PodSyncer for PodLifecycle {
    async fn sync_pod(
        &self,
        turn: SyncTurn,
        token: CancellationToken,
    ) -> Result<Synced, TurnError> {
        // All that a sync awaits is too large to be part of every worker's future.
        Box::pin(self.parts.sync(turn, token)).await
    }

    async fn sync_terminating_pod(
        &self,
        pod: Arc<Pod>,
        observed: Arc<ObservedPod>,
        grace: Option<Duration>,
        eviction: Option<Eviction>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        let terminate = self
            .parts
            .terminate(&pod, &observed, grace, eviction.as_ref());
        or_cancelled(&token, terminate).await
    }

    async fn sync_terminating_orphan(
        &self,
        observed: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        or_cancelled(&token, self.parts.terminate_orphan(&observed)).await
    }

    async fn sync_terminated_pod(
        &self,
        pod: Arc<Pod>,
        observed: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> Result<(), TurnError> {
        or_cancelled(&token, self.parts.clean_up(&pod, &observed)).await
    }
}

/// Ends with the token.
async fn or_cancelled(
    token: &CancellationToken,
    work: impl Future<Output = Result<(), TurnError>>,
) -> Result<(), TurnError> {
    let ended = token.run_until_cancelled(Box::pin(work)).await;
    ended.unwrap_or(Err(TurnError::Cancelled))
}
