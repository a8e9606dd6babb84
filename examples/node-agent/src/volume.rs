//! Volumes: what is in them, where they are, and how containers get them.
//!
//! Config maps, secrets, the downward API and projections of them are written by the
//! [`AtomicWriter`], so that a container sees either all of the old content or all of the new.

mod access;
mod atomic_writer;
mod content;
mod directories;
mod empty_dir;
mod error;
mod host_path;
mod mounter;
mod mounts;
mod ownership;
mod set_up;
mod sub_path;
mod usage;

pub use access::VolumeAccess;
pub use atomic_writer::{AtomicWriteError, AtomicWriter};
pub use content::{
    ContentContext, Payload, ProjectedFile, config_map_payload, downward_api_payload, fs_user,
    projected_payload, secret_payload,
};
pub use directories::{PodDirectories, VolumePlugin};
pub use empty_dir::{Medium, tmpfs_size};
pub use error::VolumeError;
pub use host_path::check_host_path;
pub use mounter::{DirectMounter, KernelMounter, Mounter, TmpfsOptions};
pub use mounts::{ContainerMount, MountMaker, Propagation};
pub use ownership::set_ownership;
pub use set_up::{MountedVolume, MountedVolumes, VolumeSetUp, tear_down, tear_down_volumes};
pub use sub_path::{OpenedSubPath, SubPathError, open_sub_path};
pub use usage::disk_usage;
