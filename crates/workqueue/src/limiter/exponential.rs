//! A delay that doubles with each failure.

use std::hash::Hash;
use std::time::Duration;

use super::RateLimiter;
use super::failures::Failures;
use crate::ConfigError;

/// A delay per key that doubles with each of its failures, up to a cap.
///
/// Answers to client-go's `TypedItemExponentialFailureRateLimiter`.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kubewright_workqueue::{ItemExponential, RateLimiter};
///
/// # fn main() -> Result<(), kubewright_workqueue::ConfigError> {
/// let mut limiter = ItemExponential::new(Duration::from_millis(5), Duration::from_secs(1000))?;
/// assert_eq!(limiter.when(&"web"), Duration::from_millis(5));
/// assert_eq!(limiter.when(&"web"), Duration::from_millis(10));
/// assert_eq!(limiter.num_requeues(&"web"), 2);
/// limiter.forget(&"web");
/// assert_eq!(limiter.when(&"web"), Duration::from_millis(5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ItemExponential<K> {
    base: Duration,
    max: Duration,
    failures: Failures<K>,
}

impl<K> ItemExponential<K> {
    /// A limiter whose delays start at `base` and never exceed `max`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Backoff`] if `base` lies above `max`.
    pub fn new(base: Duration, max: Duration) -> Result<Self, ConfigError> {
        if base > max {
            return Err(ConfigError::Backoff { base, max });
        }
        Ok(Self {
            base,
            max,
            failures: Failures::default(),
        })
    }
}

impl<K> Default for ItemExponential<K> {
    /// From 5 ms to 1000 s: client-go's default for controllers.
    fn default() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_secs(1000))
            .expect("5 ms is below 1000 s")
    }
}

impl<K: Clone + Eq + Hash + Send> RateLimiter<K> for ItemExponential<K> {
    fn when(&mut self, key: &K) -> Duration {
        let failures = self.failures.count(key);
        let mut delay = self.base;
        for _ in 0..failures {
            if delay.is_zero() || delay >= self.max {
                break;
            }
            delay = delay.saturating_mul(2);
        }
        delay.min(self.max)
    }

    fn forget(&mut self, key: &K) {
        self.failures.forget(key);
    }

    fn num_requeues(&self, key: &K) -> u32 {
        self.failures.of(key)
    }
}
