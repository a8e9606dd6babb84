//! The images of containers: what they are called, and how they get onto the node.

mod keyring;
mod manager;
mod name;
mod puller;

pub use keyring::{InvalidPullSecret, Keyring};
pub(super) use manager::{EnsuredImage, ImageManager, ImageRequest};
pub use name::{ImageName, InvalidImageName};
