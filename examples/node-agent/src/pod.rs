//! What a pod is to the agent.

mod containers;
mod directory;
mod grace;
mod identity;
mod kind;
mod phase;
mod restart;
mod unsupported;

pub use containers::{ContainerKind, PodContainer, containers, is_sidecar};
pub use directory::{PodDirectory, is_mirror_of};
pub use grace::{deletion_grace, termination_grace};
pub(crate) use identity::described;
pub use identity::{PodName, PodUid};
pub use kind::{
    CONFIG_HASH, CONFIG_MIRROR, CONFIG_SEEN, CONFIG_SOURCE, PodSource, is_critical, is_mirror,
    is_static,
};
pub use phase::{
    FAILED, PENDING, RUNNING, SUCCEEDED, is_deleting, is_host_network, is_phase_terminal,
    is_terminal,
};
pub use restart::RestartPolicy;
pub use unsupported::{UnsupportedField, check_supported};
