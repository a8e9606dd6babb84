//! What a container runtime is asked, and what it says of pods.

mod observed;

pub use observed::{ContainerId, ObservedContainer, ObservedPod, ObservedSandbox, RuntimeState};
