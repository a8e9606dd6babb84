//! What is collected when nobody needs it any more: dead containers and sandboxes, and images.

mod containers;
mod images;

pub use containers::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerGcPolicy, ContainerRemoval,
    LogDirectories, PodStates, Reach, dead_containers, removable_containers, removable_sandboxes,
};
pub use images::{
    CriImages, FsUsage, ImageGc, ImageGcError, ImageGcPolicy, ImageHost, ImageRecords,
    InvalidPolicy, UnusedImage,
};
