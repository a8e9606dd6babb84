//! A cap on another limiter's delays.

use std::time::Duration;

use super::RateLimiter;

/// Another limiter whose delays are cut at a cap.
///
/// Answers to client-go's `TypedWithMaxWaitRateLimiter`.
#[derive(Debug, Clone)]
pub struct MaxWait<L> {
    limiter: L,
    max: Duration,
}

impl<L> MaxWait<L> {
    /// `limiter`, with no delay above `max`.
    pub fn new(limiter: L, max: Duration) -> Self {
        Self { limiter, max }
    }
}

impl<K, L: RateLimiter<K>> RateLimiter<K> for MaxWait<L> {
    fn when(&mut self, key: &K) -> Duration {
        self.limiter.when(key).min(self.max)
    }

    fn forget(&mut self, key: &K) {
        self.limiter.forget(key);
    }

    fn num_requeues(&self, key: &K) -> u32 {
        self.limiter.num_requeues(key)
    }
}
