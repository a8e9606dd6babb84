//! Dead containers, their sandboxes and logs.

mod logs;
mod policy;
mod run;
mod sandboxes;
mod trim;

pub use logs::LogDirectories;
pub use policy::{ContainerGcPolicy, removable_containers};
pub use run::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerRemoval, PodStates, Reach,
};
pub use sandboxes::removable_sandboxes;
pub use trim::dead_containers;
