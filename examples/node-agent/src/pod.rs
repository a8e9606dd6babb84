//! What a pod is to the agent.

mod identity;

pub use identity::{PodName, PodUid};
