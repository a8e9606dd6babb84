//! What a container runtime is asked, and what it says of pods.

mod actions;
mod hash;
mod observed;
mod pruning;
mod sandbox;

pub use actions::{
    KillReason, PodActions, SandboxAction, ToKill, compute_pod_actions, is_restart_due,
};
pub use hash::container_hash;
pub use observed::{ContainerId, ObservedContainer, ObservedPod, ObservedSandbox, RuntimeState};
pub use pruning::{superseded_init_containers, unneeded_init_containers};
pub use sandbox::{SandboxChange, sandbox_change};
