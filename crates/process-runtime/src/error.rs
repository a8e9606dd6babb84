use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error as ThisError;

/// Why a runtime could not be opened or ended.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Another runtime uses the root directory.
    #[error("{} is in use by another process runtime", .0.display())]
    InUse(PathBuf),
    /// Shims would be this program, and it does not look whether it is to be one.
    #[error(
        "this program cannot be the shim of a container: \
         call kubewright_process_runtime::shim::main_if_asked() first of all in main"
    )]
    NoShim,
    /// An image cannot be had.
    #[error("image {name:?}: {reason}")]
    Image {
        /// The name of the image.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A range of addresses cannot be used.
    #[error("address range {range:?}: {reason}")]
    Addresses {
        /// The range as it was written.
        range: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Streams cannot be served.
    #[error("streams cannot be served")]
    Streaming(#[from] kubewright_streaming::Error),
    /// Something failed on disk.
    #[error("{}: {cause}", path.display())]
    Io {
        /// On which path.
        path: PathBuf,
        /// What. The message tells it, so it is no source.
        cause: io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { path, cause }
    }
}
