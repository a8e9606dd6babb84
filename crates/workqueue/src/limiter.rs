//! Per-item rate limiters: how long a key waits before it is tried again.

mod exponential;
mod failures;
mod fast_slow;
mod max_of;
mod max_wait;

use std::time::Duration;

pub use exponential::ItemExponential;
pub use fast_slow::FastSlow;
pub use max_of::MaxOf;
pub use max_wait::MaxWait;

/// Decides how long a key waits before [`add_rate_limited`](crate::WorkQueue::add_rate_limited)
/// lets it run again.
///
/// Called under the queue's lock: an implementation is quick and does not call the queue.
///
/// Answers to client-go's `TypedRateLimiter`. A limit over all items together is not a limiter of
/// this kind but the queue's own stage, see [`QueueConfig::bucket`](crate::QueueConfig::bucket).
pub trait RateLimiter<K>: Send {
    /// Counts one more failure of `key` and says how long it is to wait this time.
    fn when(&mut self, key: &K) -> Duration;

    /// Forgets the failures of `key`: it succeeded, or nobody will try it again.
    ///
    /// A limiter remembers a key until it is forgotten.
    fn forget(&mut self, key: &K);

    /// How often `key` failed since it was last forgotten.
    fn num_requeues(&self, key: &K) -> u32;
}

impl<K, L: RateLimiter<K> + ?Sized> RateLimiter<K> for Box<L> {
    fn when(&mut self, key: &K) -> Duration {
        (**self).when(key)
    }

    fn forget(&mut self, key: &K) {
        (**self).forget(key);
    }

    fn num_requeues(&self, key: &K) -> u32 {
        (**self).num_requeues(key)
    }
}
