use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::pod::{PodName, PodUid};

/// A container as statuses name it. Displays as `containerd://0123…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId {
    /// The name of the runtime, as it calls itself.
    pub runtime: Arc<str>,
    /// What the runtime calls the container.
    pub id: Arc<str>,
}

/// What state a container is in, as the runtime has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuntimeState {
    /// It was made and not started.
    Created,
    /// It runs.
    Running,
    /// It ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// All that the runtime knows of one pod at one time.
///
/// Answers to kubelet's `kubecontainer.PodStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPod {
    /// The pod's uid, by the labels of what was found.
    pub uid: PodUid,
    /// Its name, by the labels of what was found.
    pub name: PodName,
    /// The addresses of the newest ready sandbox; empty for a pod in the host's network.
    pub ips: Vec<IpAddr>,
    /// Its sandboxes, newest first.
    pub sandboxes: Vec<ObservedSandbox>,
    /// Its containers, newest first; there may be several of one name.
    pub containers: Vec<ObservedContainer>,
}

/// A sandbox of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSandbox {
    /// What the runtime calls it.
    pub id: Arc<str>,
    /// How many sandboxes the pod had before.
    pub attempt: u32,
    /// Whether it is ready for containers.
    pub is_ready: bool,
    /// Whether it is in the network of the host.
    pub is_host_network: bool,
    /// Whether the runtime says that it has a network, and no address in it.
    pub lacks_address: bool,
    /// Its addresses, as far as they can be read.
    pub ips: Vec<IpAddr>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedContainer {
    /// What it is called in statuses.
    pub id: ContainerId,
    /// Its name in the pod's spec.
    pub name: Arc<str>,
    /// What state it is in.
    pub state: RuntimeState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started; `None` if it was not.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` if it has not.
    pub finished_at: Option<Timestamp>,
    /// How it ended; 0 if it has not.
    pub exit_code: i32,
    /// The image as the spec named it.
    pub image: String,
    /// What the runtime calls the image that it found.
    pub image_id: String,
    /// The hash of the part of the spec that it was made from, by its annotation.
    pub hash: u64,
    /// How often a container of this name was restarted before it, by its annotation.
    pub restart_count: u32,
    /// How long the next one is to wait after the end of this one, by its annotation.
    pub restart_delay: Option<Duration>,
    /// Why it is in its state, in a word.
    pub reason: String,
    /// Why it is in its state, for people.
    pub message: String,
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.runtime, self.id)
    }
}

impl ObservedPod {
    /// A pod of which the runtime knows nothing.
    pub fn unknown(uid: PodUid, name: PodName) -> Self {
        Self {
            uid,
            name,
            ips: Vec::new(),
            sandboxes: Vec::new(),
            containers: Vec::new(),
        }
    }

    /// The newest container of a name.
    pub fn container(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers
            .iter()
            .find(|container| &*container.name == name)
    }

    /// Whether any container runs.
    pub fn is_running(&self) -> bool {
        let mut containers = self.containers.iter();
        containers.any(|container| container.state == RuntimeState::Running)
    }

    /// Whether no container runs and no sandbox is ready.
    pub fn is_at_rest(&self) -> bool {
        !self.is_running() && self.sandboxes.iter().all(|sandbox| !sandbox.is_ready)
    }
}
