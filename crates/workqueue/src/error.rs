//! What can be wrong with a configuration.

use std::time::Duration;

/// A limiter or bucket that cannot work as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A token bucket needs at least one token and some time between two tokens.
    #[error("a token bucket of {burst} tokens, one every {every:?}, cannot limit anything")]
    Bucket {
        /// The time between two tokens.
        every: Duration,
        /// The number of tokens in a full bucket.
        burst: u32,
    },
    /// The first delay of an exponential limiter lies above its cap.
    #[error("the first delay {base:?} lies above the longest {max:?}")]
    Backoff {
        /// The first delay.
        base: Duration,
        /// The cap of all delays.
        max: Duration,
    },
}
