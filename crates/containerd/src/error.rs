use std::io;
use std::path::PathBuf;

/// Why a containerd could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks what it needs.
    #[error("this machine lacks {}", .0.join(", "))]
    Missing(Vec<String>),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The temporary directory is too deep for a socket.
    #[error("the socket cannot be below the temporary directory")]
    Socket(#[source] kubewright_cri::EndpointError),
    /// A program failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: String,
        /// The end of what it printed.
        output: String,
    },
    /// The daemon does not answer.
    #[error("containerd does not answer; its log ends with:\n{log}")]
    Silent {
        /// The end of its log.
        log: String,
    },
    /// A call failed while the daemon was cleared.
    #[error("the daemon could not be cleared")]
    Clear(#[source] kubewright_cri::Error),
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
