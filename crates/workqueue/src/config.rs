//! How a queue is set up.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::{ItemExponential, QueueMetrics, RateLimiter, TokenBucket};

/// The configuration of a [`WorkQueue`](crate::WorkQueue).
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kubewright_workqueue::{FastSlow, QueueConfig, WorkQueue};
///
/// let mut config = QueueConfig::<String>::default();
/// config.limiter = Box::new(FastSlow::new(Duration::from_millis(5), Duration::from_secs(60), 3));
/// config.bucket = None;
/// let queue: WorkQueue<String> = WorkQueue::new(config);
/// ```
#[non_exhaustive]
pub struct QueueConfig<K> {
    /// How long each key waits before [`add_rate_limited`](crate::WorkQueue::add_rate_limited) lets
    /// it run again.
    /// Default: [`ItemExponential`] from 5 ms to 1000 s.
    pub limiter: Box<dyn RateLimiter<K>>,
    /// How many rate-limited keys may run in all, whatever their own delays.
    /// Default: 100 at once and 10 per second. `None` sets no such limit.
    pub bucket: Option<TokenBucket>,
    /// Who is told of depth and durations. Default: nobody.
    pub metrics: Option<Arc<dyn QueueMetrics>>,
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for QueueConfig<K> {
    /// What client-go's `DefaultTypedControllerRateLimiter` sets.
    fn default() -> Self {
        Self {
            limiter: Box::new(ItemExponential::default()),
            bucket: Some(TokenBucket::default()),
            metrics: None,
        }
    }
}

impl<K> fmt::Debug for QueueConfig<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig")
            .field("bucket", &self.bucket)
            .field("metrics", &self.metrics.is_some())
            .finish_non_exhaustive()
    }
}
