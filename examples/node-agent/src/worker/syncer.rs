use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Failure, Outcome, UpdateKind};
use crate::runtime::ObservedPod;
use crate::status::Eviction;

/// Does for pods what their workers have decided on.
///
/// Nothing of one pod runs twice at once. A token is cancelled when what a pod is to become has
/// changed: the future is then to return soon, with [`TurnError::Cancelled`], and is not dropped; it
/// is dropped only if the whole pool is.
///
/// Answers to kubelet's `podSyncer`.
pub trait PodSyncer: Send + Sync + 'static {
    /// Makes what runs what the spec asks for.
    fn sync_pod(
        &self,
        turn: SyncTurn,
        token: CancellationToken,
    ) -> impl Future<Output = Result<Synced, TurnError>> + Send;

    /// Ends all containers of a pod, and returns when they have.
    ///
    /// They are given `grace`; what the pod asks for if that is `None`. The pod's status is made as
    /// `eviction` says, if it says anything.
    fn sync_terminating_pod(
        &self,
        pod: Arc<Pod>,
        observed: Arc<ObservedPod>,
        grace: Option<Duration>,
        eviction: Option<Eviction>,
        token: CancellationToken,
    ) -> impl Future<Output = Result<(), TurnError>> + Send;

    /// Ends all containers of a pod that only the runtime knows.
    fn sync_terminating_orphan(
        &self,
        observed: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> impl Future<Output = Result<(), TurnError>> + Send;

    /// Cleans up after a pod without containers.
    fn sync_terminated_pod(
        &self,
        pod: Arc<Pod>,
        observed: Arc<ObservedPod>,
        token: CancellationToken,
    ) -> impl Future<Output = Result<(), TurnError>> + Send;
}

/// What a sync of a pod goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncTurn {
    /// What has happened.
    pub kind: UpdateKind,
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its mirror in the API server, if it is static and has one.
    pub mirror: Option<Arc<Pod>>,
    /// What the runtime says of it, newer than the last turn.
    pub observed: Arc<ObservedPod>,
}

/// What a sync that went well came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The pod goes on.
    GoesOn,
    /// The pod has come to its end by itself.
    Ended,
}

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The network of the node is not ready. People were told.
    #[error("network is not ready: {0}")]
    NetworkNotReady(String),
    /// Something has to wait. People were told.
    #[error("{message}")]
    Backoff {
        /// Until when.
        expiry: Instant,
        /// What, for people.
        message: String,
    },
    /// The token was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Something that people were told already, by an event of its own.
    #[error("{0:#}")]
    Reported(anyhow::Error),
    /// Something that nobody was told yet: an event `FailedSync` tells it.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl TurnError {
    /// What the turn came to.
    pub fn outcome(&self) -> Outcome {
        Outcome::Failed(match self {
            Self::NetworkNotReady(_) => Failure::NetworkNotReady,
            Self::Backoff { expiry, .. } => Failure::Backoff { expiry: *expiry },
            Self::Cancelled => return Outcome::Cancelled,
            Self::Reported(_) | Self::Failed(_) => Failure::Other,
        })
    }
}
