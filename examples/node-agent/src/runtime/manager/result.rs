use kubewright_cri::Error;
use tokio::time::Instant;

use crate::pod::{PodUid, UnsupportedField};
use crate::status::{StartFailure, StartFailures};
use crate::worker::{Failure, Outcome};

/// What came of making a pod what it should be.
#[derive(Debug, Default)]
pub struct SyncResult {
    /// Whether something was to be done, so that the runtime has news of the pod.
    pub has_acted: bool,
    /// The containers that were to be started, in the order in which it was tried.
    pub starts: Vec<StartAttempt>,
    /// What ended the attempt as a whole, if something did.
    pub error: Option<SyncError>,
}

/// An attempt to start a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAttempt {
    /// The container's name in the pod's spec.
    pub container: String,
    /// What came of it.
    pub result: Result<(), StartError>,
}

/// Why a container was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct StartError {
    /// In a word: `CrashLoopBackOff`, `ErrImagePull`, `CreateContainerConfigError`…
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// When it may be tried again, of one that was not tried since it has to wait.
    pub expiry: Option<Instant>,
}

/// Why a pod could not be made what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// It was not to go on. What was begun is found by its labels.
    #[error("the sync was cancelled")]
    Cancelled,
    /// The pod asks for a life of containers that the agent does not give them.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedField),
    /// What was to be stopped first could not be.
    #[error(transparent)]
    Kill(#[from] KillError),
    /// It cannot be said how the sandbox is to be made.
    #[error("cannot say how the sandbox is to be made")]
    SandboxConfig(#[from] super::SandboxConfigError),
    /// The sandbox could not be made.
    #[error("cannot make the sandbox")]
    Sandbox(#[source] Error),
    /// What has become of the sandbox cannot be told.
    #[error("cannot tell what has become of the sandbox")]
    SandboxStatus(#[source] Error),
}

/// Why a pod or a container of it could not be stopped and put out of the way.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// The runtime did not stop a container, or what is written on it could not be had.
    #[error("cannot stop container {container}")]
    Container {
        /// Its name in the pod's spec.
        container: String,
        /// Why.
        source: Error,
    },
    /// The runtime did not remove a container that is not to be there in a new sandbox.
    #[error("cannot remove container {container}")]
    Removal {
        /// Its name in the pod's spec.
        container: String,
        /// Why.
        source: Error,
    },
    /// The runtime did not stop a sandbox.
    #[error("cannot stop sandbox {sandbox}")]
    Sandbox {
        /// What the runtime calls it.
        sandbox: String,
        /// Why.
        source: Error,
    },
}

impl SyncResult {
    /// What it is to the worker of the pod.
    ///
    /// If nothing failed but that containers have to wait, the first of them sets the time.
    pub fn outcome(&self) -> Outcome {
        match &self.error {
            Some(SyncError::Cancelled) => return Outcome::Cancelled,
            Some(_) => return Outcome::Failed(Failure::Other),
            None => {}
        }
        let failures = self.starts.iter();
        let failures = failures.filter_map(|start| start.result.as_ref().err());
        let expiries: Vec<_> = failures.map(|failure| failure.expiry).collect();
        if expiries.contains(&None) {
            return Outcome::Failed(Failure::Other);
        }
        match expiries.into_iter().flatten().min() {
            Some(expiry) => Outcome::Failed(Failure::Backoff { expiry }),
            None => Outcome::Done,
        }
    }

    /// Keeps why containers could not be started, for the status of the pod.
    pub fn record(&self, uid: &PodUid, failures: &mut StartFailures) {
        for StartAttempt { container, result } in &self.starts {
            match result {
                Ok(()) => failures.started(uid, container),
                Err(error) => failures.record(
                    uid,
                    container,
                    StartFailure {
                        reason: error.reason.to_owned(),
                        message: error.message.clone(),
                    },
                ),
            }
        }
    }
}

impl SyncError {
    /// Whether an event of its own has told of it.
    pub fn is_told(&self) -> bool {
        match self {
            Self::Cancelled | Self::Kill(_) => false,
            Self::Unsupported(_)
            | Self::SandboxConfig(_)
            | Self::Sandbox(_)
            | Self::SandboxStatus(_) => true,
        }
    }
}

impl StartError {
    pub(in crate::runtime) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            expiry: None,
        }
    }
}

impl KillError {
    /// What the runtime said.
    pub fn cause(&self) -> &Error {
        match self {
            Self::Container { source, .. }
            | Self::Removal { source, .. }
            | Self::Sandbox { source, .. } => source,
        }
    }
}
