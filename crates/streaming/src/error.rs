use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::request::InvalidRequest;

/// Why there is no URL, or no server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for makes no sense: CRI's `InvalidArgument`.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// As many URLs are waiting for their clients as are allowed: CRI's `ResourceExhausted`. Try
    /// again later.
    #[error("maximum number of in-flight requests exceeded")]
    TooManyInFlight,
    /// The system gave no random bytes.
    #[error("no randomness for the token of a stream")]
    NoRandomness,
    /// Streams are not protected beyond the token in their URL: they are served on loopback alone.
    #[error("streams are served on loopback alone, and {0} is not")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}
