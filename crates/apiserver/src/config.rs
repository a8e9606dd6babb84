//! How a server is set up.

use std::ops::RangeInclusive;
use std::time::Duration;

use kubewright_clock::Clock;

/// How an [`ApiServer`](crate::ApiServer) is set up.
///
/// Two servers of the same configuration that are sent the same requests in the same order give the
/// same answers, names and uids included, if their clocks agree; but see [`TokenKey`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where timestamps come from. Default: the system's clock.
    pub clock: Clock,
    /// What uids, generated names and random intervals are derived from. Default: 0.
    pub seed: u64,
    /// How many changes of each resource are remembered, at least 1. Default: 65,536.
    ///
    /// A watch, or a list that is read in pages, can go on from any of them. One that comes later is
    /// answered 410 and starts again. Each remembered change keeps the version it replaced in memory.
    pub history: usize,
    /// How many bytes of JSON the replaced versions of each resource may have before the oldest
    /// changes are forgotten, whatever their number. Default: 32 MiB.
    ///
    /// In memory an object takes about four times its JSON.
    pub history_bytes: usize,
    /// How long a watch lasts that asks for no `timeoutSeconds`: a random time from this range.
    ///
    /// Default: 30 to 60 minutes.
    pub watch_timeout: RangeInclusive<Duration>,
    /// How often a watch that allows bookmarks gets one. Default: 1 minute.
    pub bookmark_interval: Duration,
    /// Whether watches may ask for their initial state (`sendInitialEvents`). Default: enabled.
    pub streaming_lists: StreamingLists,
    /// What the tokens of service accounts are signed with. Default: a random key.
    pub token_key: TokenKey,
    /// The most bytes that the body of a request may have. Default: 3 MiB.
    pub body_limit: usize,
}

/// Whether watches may ask for their initial state, as Kubernetes 1.34 and later let them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamingLists {
    /// They may.
    #[default]
    Enabled,
    /// Such a watch is answered 422, and the client lists instead.
    Disabled,
}

/// What the tokens of service accounts are signed with.
///
/// A server keeps its key for as long as it lives; tokens of an earlier one are worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKey {
    /// A key that nobody else has. Tokens are then what differs between two equal servers.
    #[default]
    Random,
    /// A key made of [`Config::seed`]: equal servers make equal tokens.
    ///
    /// Whoever knows the seed can make them too. This is for tests in one process, not for a
    /// server that others reach.
    Seeded,
}

/// A configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A server that remembers nothing cannot serve a single watch.
    #[error("history must be at least 1")]
    NoHistory,
    /// The range of watch timeouts holds nothing, or zero.
    #[error("watch_timeout must be a range of times longer than zero")]
    NoWatchTimeout,
    /// The system gives no random bytes to make a key of.
    #[error("the system's source of randomness failed")]
    NoRandomness,
    /// Bookmarks without pause.
    #[error("bookmark_interval must be longer than zero")]
    NoBookmarkInterval,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            seed: 0,
            history: 65_536,
            history_bytes: 32 << 20,
            watch_timeout: Duration::from_secs(30 * 60)..=Duration::from_secs(60 * 60),
            bookmark_interval: Duration::from_secs(60),
            streaming_lists: StreamingLists::default(),
            token_key: TokenKey::default(),
            body_limit: 3 << 20,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.history == 0 {
            return Err(ConfigError::NoHistory);
        }
        if self.watch_timeout.is_empty() || self.watch_timeout.start().is_zero() {
            return Err(ConfigError::NoWatchTimeout);
        }
        if self.bookmark_interval.is_zero() {
            return Err(ConfigError::NoBookmarkInterval);
        }
        Ok(())
    }
}
