use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::{Stage, UpdateKind};
use crate::runtime::ObservedPod;
use crate::status::Eviction;

/// What a worker that was woken does.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// This work.
    Work(Work),
    /// Nothing: it was woken for something that is done.
    Nothing,
    /// Nothing yet: another static pod of its name comes first.
    NotYet,
    /// It ends.
    Stop,
}

/// What is to be done for a pod in one turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Make what runs what the spec asks for.
    Sync {
        /// What has happened.
        kind: UpdateKind,
        /// The pod.
        pod: Arc<Pod>,
        /// Its mirror.
        mirror: Option<Arc<Pod>>,
    },
    /// End all containers.
    Terminate {
        /// The pod.
        pod: Arc<Pod>,
        /// How long they are given; what the pod asks for if this is `None`.
        grace: Option<Duration>,
        /// What is to be told of it; how its containers ended if this is `None`.
        status: Option<Eviction>,
    },
    /// End all containers of a pod that only the runtime knows.
    TerminateOrphan(Arc<ObservedPod>),
    /// Clean up after a pod without containers.
    CleanUp {
        /// The pod.
        pod: Arc<Pod>,
    },
}

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went well.
    Done,
    /// It went well, and the pod has come to its end by itself. Only of [`Work::Sync`].
    PodEnded,
    /// It was cancelled.
    Cancelled,
    /// It failed.
    Failed(Failure),
}

/// Why a turn failed, as far as that tells when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The network of the node is not ready.
    NetworkNotReady,
    /// Something has to wait.
    Backoff {
        /// Until when.
        expiry: Instant,
    },
    /// Something else.
    Other,
}

impl Work {
    /// The stage that it is of.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Sync { .. } => Stage::Sync,
            Self::Terminate { .. } | Self::TerminateOrphan(_) => Stage::Terminating,
            Self::CleanUp { .. } => Stage::Terminated,
        }
    }
}
