use std::io;
use std::path::PathBuf;

/// Why a log cannot be read, or not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The runtime does not tell where the log is.
    #[error(transparent)]
    Runtime(#[from] kubewright_cri::Error),
    /// The container has no log.
    #[error("container {id:?} has no log file")]
    NoFile {
        /// What the runtime calls the container.
        id: String,
    },
    /// The file cannot be opened.
    #[error("failed to open log file {path:?}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("failed to read log file {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not written in any format that is known.
    #[error("unsupported log format: {line:?}")]
    UnsupportedFormat {
        /// Its first line, or the beginning of it.
        line: String,
    },
}
