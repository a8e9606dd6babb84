use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{PodName, PodUid};
use crate::runtime::ObservedPod;
use crate::status::Eviction;

/// Something a worker is told about its pod. Answers to kubelet's `UpdatePodOptions`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerUpdate {
    /// What has happened.
    pub kind: UpdateKind,
    /// To which pod.
    pub subject: Subject,
    /// How the pod is to be ended; nothing, unless it is.
    pub kill: Option<Kill>,
}

/// What has happened to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpdateKind {
    /// A source has it for the first time.
    Create,
    /// A source has changed it.
    Update,
    /// It is to be looked at again.
    Sync,
    /// It is to be ended.
    Kill,
}

/// A pod, as it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A source has it.
    Configured {
        /// The pod.
        pod: Arc<Pod>,
        /// Its mirror in the API server, if it is static and has one.
        mirror: Option<Arc<Pod>>,
    },
    /// Only the runtime knows it. It can be killed, and nothing else.
    Orphan(Arc<ObservedPod>),
}

/// How a pod is to be ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Kill {
    /// Who wants it.
    pub cause: KillCause,
    /// How long it is given; what the pod asks for if this is `None` or longer.
    pub grace: Option<Duration>,
    /// What is to be told of it; how its containers ended if this is `None`.
    pub status: Option<Eviction>,
    /// Who waits for the end of its containers.
    pub waiter: Option<Waiter>,
}

/// Who wants a pod to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillCause {
    /// Its source has it no more, or the whole node goes: nobody wants its room.
    Removed,
    /// The agent wants its room.
    Evicted,
}

/// Somebody who waits for the end of a pod's containers. Each is released at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

impl Subject {
    /// The uid of the pod.
    pub fn uid(&self) -> PodUid {
        match self {
            Self::Configured { pod, .. } => PodUid::of(pod),
            Self::Orphan(observed) => observed.uid.clone(),
        }
    }

    /// The name of the pod.
    pub fn name(&self) -> PodName {
        match self {
            Self::Configured { pod, .. } => PodName::of(pod),
            Self::Orphan(observed) => observed.name.clone(),
        }
    }

    /// The pod, if a source has it.
    pub fn pod(&self) -> Option<&Arc<Pod>> {
        match self {
            Self::Configured { pod, .. } => Some(pod),
            Self::Orphan(_) => None,
        }
    }
}
