//! What the runtime keeps for the agent: all that an agent must know of what another one started.

mod container;
mod pod;

pub(super) use container::CONTAINER_NAME;
pub use container::{ContainerRecord, UnreadableRecord, container_annotations, container_labels};
pub(super) use pod::POD_UID;
pub use pod::{PodRecord, sandbox_annotations, sandbox_labels};
