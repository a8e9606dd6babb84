use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::observer::{Logged, Observer};

/// A watch that is shorter only costs the server requests.
const LEAST_WATCH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// As good as never.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How a [`Reflector`](crate::Reflector) lists, watches and waits.
///
/// A time above ten years counts as ten years, so `Duration::MAX` is a way to say never.
#[derive(Clone)]
#[non_exhaustive]
pub struct ReflectorConfig {
    /// How the collection is first obtained; page by page by default.
    pub initial_list: InitialList,
    /// The most items of a page: by default 500, and none when a list need not be consistent with
    /// the latest write, so that the server can answer from its cache. A size given here is used
    /// for every list.
    pub page_size: Option<NonZeroU32>,
    /// The least time a watch is asked to stay open; each asks for a random time between this and
    /// twice this. 5 min by default; a shorter time counts as 5 min.
    pub min_watch_timeout: Duration,
    /// How long a watch that sends bookmarks may send nothing before it is taken for dead; 3 min
    /// by default, three times the interval of the API server's bookmarks.
    ///
    /// A watch that never sent one is taken for dead when it outlives its own timeout by
    /// [`ReflectorConfig::response_timeout`].
    pub idle_timeout: Duration,
    /// How long a list, or the opening of a watch, may deliver nothing; 60 s by default.
    pub response_timeout: Duration,
    /// How long an `InternalError` on an open watch is answered by watching again at once; not at
    /// all by default.
    pub max_internal_error_retry: Duration,
    /// How often every object is shown again; never by default.
    pub resync: Option<Duration>,
    /// The waits between failures.
    pub backoff: BackoffConfig,
    /// The seed of every random choice: of watch timeouts and of the jitter of waits.
    ///
    /// By default a different one in each process and for each configuration.
    pub seed: u64,
    /// Who is told of failures; logs by default.
    pub observer: Arc<dyn Observer>,
}

/// How the collection is obtained before it is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitialList {
    /// By list requests, page by page.
    #[default]
    Paged,
    /// By the initial events of a watch (Kubernetes 1.32 and later, where enabled).
    ///
    /// A server that refuses, or does not complete the events and is silent for
    /// [`ReflectorConfig::response_timeout`], or closes the watch after so long, is listed page by
    /// page instead, then and from then on.
    Streaming,
}

/// The waits between failures: exponential, with jitter.
///
/// A wait is drawn from between the current delay and twice that. There is one delay for failures
/// to list and one for failures to watch; a delay is back at `initial` only after a complete list,
/// or a watch that delivered something or lasted [`BackoffConfig::healthy_after`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackoffConfig {
    /// The first delay; 800 ms by default.
    pub initial: Duration,
    /// What each delay is multiplied by to give the next; 2 by default.
    pub factor: f64,
    /// The longest delay; 30 s by default.
    pub max: Duration,
    /// How long a silent watch has to last to count as healthy; 1 min by default.
    pub healthy_after: Duration,
}

/// A configuration that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReflectorConfig {
    /// A time that must pass is zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// Delays would shrink.
    #[error("the factor of the backoff must be a number of at least 1")]
    Factor,
    /// The first delay is longer than the longest.
    #[error("the first delay of the backoff must not be above the longest")]
    Delays,
}

impl Default for ReflectorConfig {
    fn default() -> Self {
        Self {
            initial_list: InitialList::default(),
            page_size: None,
            min_watch_timeout: LEAST_WATCH_TIMEOUT,
            idle_timeout: Duration::from_secs(3 * 60),
            response_timeout: Duration::from_secs(60),
            max_internal_error_retry: Duration::ZERO,
            resync: None,
            backoff: BackoffConfig::default(),
            seed: arbitrary_seed(),
            observer: Arc::new(Logged),
        }
    }
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(800),
            factor: 2.0,
            max: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
        }
    }
}

/// Differs from process to process, so that programs started together do not ask together.
fn arbitrary_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

impl ReflectorConfig {
    /// The configuration as it is acted upon, unless it contradicts itself.
    pub(super) fn validated(mut self) -> Result<Self, InvalidReflectorConfig> {
        let times = [
            ("idle_timeout", Some(self.idle_timeout)),
            ("response_timeout", Some(self.response_timeout)),
            ("resync", self.resync),
            ("backoff.initial", Some(self.backoff.initial)),
        ];
        for (name, time) in times {
            if time == Some(Duration::ZERO) {
                return Err(InvalidReflectorConfig::Zero(name));
            }
        }
        if !(self.backoff.factor >= 1.0 && self.backoff.factor.is_finite()) {
            return Err(InvalidReflectorConfig::Factor);
        }
        if self.backoff.initial > self.backoff.max {
            return Err(InvalidReflectorConfig::Delays);
        }
        self.min_watch_timeout = self.min_watch_timeout.max(LEAST_WATCH_TIMEOUT);
        // Times are added to instants, which end somewhere.
        let times = [
            &mut self.min_watch_timeout,
            &mut self.idle_timeout,
            &mut self.response_timeout,
            &mut self.backoff.initial,
            &mut self.backoff.max,
        ];
        for time in times.into_iter().chain(&mut self.resync) {
            *time = NEVER.min(*time);
        }
        Ok(self)
    }
}

impl fmt::Debug for ReflectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReflectorConfig")
            .field("initial_list", &self.initial_list)
            .field("page_size", &self.page_size)
            .field("min_watch_timeout", &self.min_watch_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("max_internal_error_retry", &self.max_internal_error_retry)
            .field("resync", &self.resync)
            .field("backoff", &self.backoff)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
