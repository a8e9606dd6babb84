use std::io;
use std::path::PathBuf;

use super::{AtomicWriteError, SubPathError};
use crate::causes::with_causes;
use crate::environment::EnvironmentError;
use crate::objects::LookupError;

/// Why a volume cannot be set up or mounted into a container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// Setting up failed.
    #[error(
        "MountVolume.SetUp failed for volume \"{volume}\" : {}",
        with_causes(cause)
    )]
    SetUp {
        /// The volume's name in the pod's spec.
        volume: String,
        /// What failed. The message tells it, so it is no source.
        cause: Box<VolumeError>,
    },
    /// An object that the volume is made from could not be had.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A value of the downward API could not be told.
    #[error(transparent)]
    Downward(#[from] EnvironmentError),
    /// An object lacks a key that the volume asks for.
    #[error("{kind} references non-existent {key_kind} key: {key}")]
    NoKey {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// How messages call the key: `config` or `secret`.
        key_kind: &'static str,
        /// The key.
        key: String,
    },
    /// The content could not be written.
    #[error(transparent)]
    Write(#[from] AtomicWriteError),
    /// A path of the host is not what the volume says.
    #[error("hostPath type check failed: {path} is not a {wanted}")]
    HostPathType {
        /// The path.
        path: PathBuf,
        /// What it was to be.
        wanted: &'static str,
    },
    /// A path leads outside of where it belongs.
    #[error("path {0:?} must not contain '..'")]
    Backstep(String),
    /// A mount refers to a volume that the pod does not have.
    #[error("cannot find volume {volume:?} to mount into container {container:?}")]
    NoVolume {
        /// The volume.
        volume: String,
        /// The container.
        container: String,
    },
    /// A path inside of a volume that is given from the root.
    #[error("error SubPath `{0}` must not be an absolute path")]
    AbsoluteSubPath(String),
    /// A path inside of a volume cannot be used.
    #[error("failed to prepare subPath for volumeMount {volume:?} of container {container:?}")]
    SubPath {
        /// The volume.
        volume: String,
        /// The container.
        container: String,
        /// Why.
        source: SubPathError,
    },
    /// A field has a value that it cannot have.
    #[error("invalid {field} {value:?}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is in it.
        value: String,
    },
    /// Something that this agent does not do.
    #[error("{0} is not supported by this node agent")]
    Unsupported(String),
    /// A file or directory could not be made, read or changed.
    #[error("{path}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl VolumeError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
