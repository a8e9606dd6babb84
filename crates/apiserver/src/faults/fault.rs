use std::time::Duration;

use http::StatusCode;

use crate::ApiError;

/// What a request meets.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It is refused, and changes nothing.
    Refuse(ApiError),
    /// It is refused with 409, as if the object had changed since the client read it.
    Conflict,
    /// It is answered later; the request is carried out after the delay.
    Delay(Duration),
    /// Its connection is lost on the way to the server: it changes nothing, and is not answered.
    LoseRequest,
    /// Its connection is lost on the way back: it is carried out, and the client does not come to know.
    LoseAnswer,
    /// It is carried out after all history is forgotten: watches and continued lists that begin
    /// before are answered 410.
    Compact,
    /// It is carried out after all open watches have ended.
    DropWatches,
    /// If it is a watch, it ends after so many events. Bookmarks count.
    EndWatch {
        /// How many events it tells.
        after: usize,
        /// What comes then.
        end: WatchEnd,
    },
}

/// How a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEnd {
    /// As when its time is up.
    Clean,
    /// Its connection is lost in the middle of an event.
    Broken,
    /// With the news that its resource version is too old: an `ERROR` event of code 410.
    Expired,
}

impl Fault {
    /// 429: too many requests. The client is to come back after so many seconds.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        let message = "too many requests, please try again later";
        Self::Refuse(ApiError::too_many_requests(message, retry_after_seconds))
    }

    /// 410: the resource version, or the continue token, is too old.
    pub fn expired() -> Self {
        Self::Refuse(ApiError::expired(
            "The resourceVersion for the provided list is too old.",
        ))
    }

    /// 500: an error within the server.
    pub fn internal() -> Self {
        Self::Refuse(ApiError::internal("a fault was injected"))
    }

    /// 503: the server is not there for now.
    pub fn unavailable() -> Self {
        Self::Refuse(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ))
    }

    /// 504: the server gave up.
    pub fn timeout() -> Self {
        Self::Refuse(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            "the request did not complete within the allotted timeout",
        ))
    }
}
