use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The unix socket cannot be had.
    #[error("cannot listen on {path:?}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of certificates or keys cannot be read or written.
    #[error("cannot use {path:?}: {why}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A certificate cannot be made, or not be used.
    #[error("cannot serve TLS: {0}")]
    Tls(String),
    /// The API server is to be asked, and there is none.
    #[error("no client provided, cannot use webhook {0}")]
    NoClient(&'static str),
    /// Nobody could send this as a token.
    #[error("a token is one or more visible ASCII characters")]
    InvalidToken,
}
