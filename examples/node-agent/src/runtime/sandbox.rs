use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::ObservedPod;
use crate::pod::is_host_network;

/// Whether a pod needs another sandbox than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxChange {
    /// The newest one will do.
    Keep {
        /// What the runtime calls it.
        id: Arc<str>,
    },
    /// A new one is needed.
    Replace {
        /// What the runtime calls the newest one; `None` if there is none.
        old: Option<Arc<str>>,
        /// How many sandboxes the pod had before the new one.
        attempt: u32,
    },
}

/// Says whether a pod needs another sandbox: it has none, or more than one that is ready, or the
/// newest is not ready, is in the wrong network or has no address.
///
/// Answers to kubelet's `PodSandboxChanged`.
pub fn sandbox_change(pod: &Pod, observed: &ObservedPod) -> SandboxChange {
    let Some(newest) = observed.sandboxes.first() else {
        return SandboxChange::Replace {
            old: None,
            attempt: 0,
        };
    };
    let ready = observed.sandboxes.iter().filter(|sandbox| sandbox.is_ready);
    let is_host_network = is_host_network(pod);
    let will_do = newest.is_ready
        && ready.count() == 1
        && newest.is_host_network == is_host_network
        && (is_host_network || !newest.lacks_address);
    let id = newest.id.clone();
    if will_do {
        SandboxChange::Keep { id }
    } else {
        SandboxChange::Replace {
            old: Some(id),
            attempt: newest.attempt.saturating_add(1),
        }
    }
}
