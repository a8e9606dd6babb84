//! What is collected when nobody needs it any more.

mod containers;

pub use containers::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerGcPolicy, ContainerRemoval,
    LogDirectories, PodStates, Reach, dead_containers, removable_containers, removable_sandboxes,
//! What is taken away that nobody needs any more.

mod images;

pub use images::{
    CriImages, FsUsage, ImageCache, ImageGc, ImageGcError, ImageGcPolicy, ImageHost, ImageRecords,
    InvalidPolicy, UnusedImage,
};
