//! What a container runtime is asked, and what it says of pods.

mod actions;
mod backoff;
mod crash_loop;
mod hash;
mod hook;
mod image;
mod image_backoff;
mod kill_grace;
mod labels;
mod listed;
mod manager;
mod observed;
mod pruning;
mod restart_count;
mod sandbox;
mod termination_message;
mod termination_order;

pub use actions::{
    KillReason, PodActions, SandboxAction, ToKill, compute_pod_actions, is_restart_due,
};
pub use backoff::Backoff;
pub use crash_loop::{CrashLoop, CrashLoopBackoff};
pub use hash::container_hash;
pub use image::{ImageName, InvalidImageName, InvalidPullSecret, Keyring};
pub use image_backoff::{ImageBackoff, ImageBackoffs};
pub use kill_grace::{MINIMUM_GRACE, kill_grace, stop_timeout};
pub use labels::{
    ContainerRecord, PodRecord, UnreadableRecord, container_annotations, container_labels,
    sandbox_annotations, sandbox_labels,
};
pub use listed::{ListedContainer, ListedPod, ListedSandbox, PodRuntime};
pub use manager::{
    KillError, NodeResources, RuntimeDependencies, RuntimeIdentity, RuntimeManager,
    RuntimeSettings, SandboxConfigError, StartAttempt, StartError, SyncError, SyncRequest,
    SyncResult, driver_of,
};
pub use observed::{ContainerId, ObservedContainer, ObservedPod, ObservedSandbox, RuntimeState};
pub use pruning::{superseded_init_containers, unneeded_init_containers};
pub use restart_count::restart_count_by_logs;
pub use sandbox::{SandboxChange, sandbox_change};
pub use termination_order::{StopTurn, TerminationOrder};
