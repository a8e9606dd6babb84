//! What the runtime keeps for the agent: all that an agent must know of what another one started.

mod container;
mod pod;

pub use container::{ContainerRecord, UnreadableRecord, container_annotations, container_labels};
pub use pod::{PodRecord, sandbox_annotations, sandbox_labels};
