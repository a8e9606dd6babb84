use std::time::Duration;

use crate::scan::ScanError;

/// Why a source could not answer, told apart by what a reflector does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The version asked for is no longer there (HTTP 410, `Expired` or `Gone`): list anew.
    #[error("the resource version is gone: {message}")]
    Expired {
        /// What the server said.
        message: String,
    },
    /// The version asked for is not there yet: list the most recent state instead.
    #[error("the resource version is not there yet: {message}")]
    ResourceVersionTooLarge {
        /// What the server said.
        message: String,
    },
    /// The server is busy (HTTP 429): ask for the same again, later.
    #[error("the server is busy: {message}")]
    TooManyRequests {
        /// The least time the server wants to be left alone.
        retry_after: Option<Duration>,
        /// What the server said.
        message: String,
    },
    /// There was no answer: no connection, or it was refused. Ask for the same again, later.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server failed (HTTP 500, `InternalError`).
    #[error("the server failed: {message}")]
    Internal {
        /// What the server said.
        message: String,
    },
    /// The request is not one that the server serves (HTTP 400, 422), as a streaming list is not
    /// on servers that lack it.
    #[error("the server does not take the request: {message}")]
    Invalid {
        /// What the server said.
        message: String,
    },
    /// The resource does not exist (HTTP 404), for instance because its definition is gone.
    #[error("the resource does not exist: {message}")]
    NotFound {
        /// What the server said.
        message: String,
    },
    /// The client may not do that (HTTP 401, 403).
    #[error("not allowed: {message}")]
    Forbidden {
        /// What the server said.
        message: String,
    },
    /// Any other refusal.
    #[error("the server answered {code} {reason}: {message}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// Kubernetes' word for it.
        reason: String,
        /// What the server said.
        message: String,
    },
    /// The answer as a whole makes no sense; a single item that makes none is an
    /// [`Undecodable`](crate::Undecodable).
    #[error("the answer cannot be read: {context}")]
    Malformed {
        /// What was being read.
        context: String,
        /// Where it went wrong.
        #[source]
        source: Option<ScanError>,
    },
    /// Nothing arrived for too long, so the connection is taken for dead.
    #[error("nothing arrived for {} s", .0.as_secs())]
    Idle(Duration),
    /// An open watch was closed at once, without an event.
    #[error("the watch was closed as soon as it was open")]
    ShortWatch,
    /// A streaming list was closed before its initial events were complete.
    #[error("the streaming list was closed before it was complete")]
    Incomplete,
    /// The connection broke.
    #[error("the connection broke")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SourceError {
    /// Whether asking again cannot help until somebody changes something: the resource does not
    /// exist, or the client may not read it.
    ///
    /// A reflector asks again all the same, for that somebody may be at work, and tells its
    /// [`Observer`](crate::Observer) each time.
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::Forbidden { .. } | Self::Invalid { .. }
        )
    }
}
