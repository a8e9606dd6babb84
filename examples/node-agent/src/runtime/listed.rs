use std::sync::Arc;

use jiff::Timestamp;
use kubewright_cri::Error;

use super::{ContainerId, ObservedPod, RuntimeState};
use crate::pod::{PodName, PodUid};

/// What a list of the runtime tells of one pod: all that is there, and little of each.
///
/// Answers to kubelet's `kubecontainer.Pod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPod {
    /// The pod's uid, by the labels of what was found.
    pub uid: PodUid,
    /// Its name, by the labels of what was found.
    pub name: PodName,
    /// Its sandboxes, newest first.
    pub sandboxes: Vec<ListedSandbox>,
    /// Its containers, newest first.
    pub containers: Vec<ListedContainer>,
}

/// What a list tells of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSandbox {
    /// What the runtime calls it.
    pub id: Arc<str>,
    /// Whether it is ready for containers.
    pub is_ready: bool,
    /// How many sandboxes the pod had before: later ones have more, whatever the clock said.
    pub attempt: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a list tells of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedContainer {
    /// What it is called in statuses.
    pub id: ContainerId,
    /// The sandbox that it is in.
    pub sandbox: Arc<str>,
    /// Its name in the pod's spec.
    pub name: Arc<str>,
    /// What state it is in.
    pub state: RuntimeState,
    /// How often a container of its name was restarted before it.
    pub attempt: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// What the runtime calls its image.
    pub image_id: Arc<str>,
}

/// A container runtime, as those ask it who watch pods.
///
/// # Errors
///
/// Those of the calls that are made; nothing is told of what could be read in part only.
pub trait PodRuntime: Send + Sync + 'static {
    /// All pods of which the runtime has anything, dead or alive.
    fn list_pods(&self) -> impl Future<Output = Result<Vec<ListedPod>, Error>> + Send;

    /// All that the runtime knows of one pod; one that it does not know has nothing.
    fn observe(
        &self,
        uid: &PodUid,
        name: &PodName,
    ) -> impl Future<Output = Result<ObservedPod, Error>> + Send;
}

impl ListedPod {
    /// Whether a container runs or a sandbox is ready.
    pub fn is_alive(&self) -> bool {
        self.is_running() || self.sandboxes.iter().any(|sandbox| sandbox.is_ready)
    }

    /// Whether a container runs.
    pub fn is_running(&self) -> bool {
        let mut containers = self.containers.iter();
        containers.any(|container| container.state == RuntimeState::Running)
    }
}
