//! What is collected when nobody needs it any more.

mod containers;

pub use containers::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerGcPolicy, ContainerRemoval,
    LogDirectories, PodStates, Reach, dead_containers, removable_containers, removable_sandboxes,
};
