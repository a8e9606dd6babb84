//! The token bucket.

use std::time::Duration;

use tokio::time::Instant;

use crate::ConfigError;
use crate::engine::THIRTY_YEARS;

/// A token bucket that never owes: a token is taken or it is not, none is reserved for later.
///
/// It starts full. Its arithmetic is exact (integer nanoseconds), so a bucket gives at most
/// `burst + elapsed / every` tokens over any stretch of time.
///
/// Answers to client-go's `BucketRateLimiter`, whose reservations pile up: there 10,000 failing
/// items put the last one more than a quarter of an hour into the future, and adding one item again
/// and again moves it further away. Here waiting is the business of the queue, see
/// [`WorkQueue::add_rate_limited`](crate::WorkQueue::add_rate_limited).
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kubewright_workqueue::TokenBucket;
/// use tokio::time::Instant;
///
/// # fn main() -> Result<(), kubewright_workqueue::ConfigError> {
/// let mut bucket = TokenBucket::new(Duration::from_secs(1), 2)?;
/// let now = Instant::now();
/// assert!(bucket.try_take(now));
/// assert!(bucket.try_take(now));
/// assert!(!bucket.try_take(now));
/// assert!(bucket.try_take(now + Duration::from_secs(1)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenBucket {
    every: Duration,
    /// The time it takes to refill all tokens but one.
    slack: Duration,
    /// When the bucket is full again; `None` if it always was.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that regains one `every` so often.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Bucket`] if `every` or `burst` is zero, or if refilling the whole bucket would
    /// take longer than 30 years.
    pub fn new(every: Duration, burst: u32) -> Result<Self, ConfigError> {
        let invalid = ConfigError::Bucket { every, burst };
        let refill = every.checked_mul(burst);
        // What is longer could not be added to an instant.
        if refill.is_none_or(|refill| refill.is_zero() || refill > THIRTY_YEARS) {
            return Err(invalid);
        }
        Ok(Self {
            every,
            slack: every * (burst - 1),
            full_at: None,
        })
    }

    /// Takes a token if there is one at `now`, and says whether there was.
    pub fn try_take(&mut self, now: Instant) -> bool {
        if self.available_at().is_some_and(|at| at > now) {
            return false;
        }
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(from + self.every);
        true
    }

    /// When the next token is there to be taken; `None` if one is there at any time.
    pub fn available_at(&self) -> Option<Instant> {
        self.full_at
            .and_then(|full_at| full_at.checked_sub(self.slack))
    }
}

impl Default for TokenBucket {
    /// 100 tokens, of which one comes back every 100 ms: client-go's default for controllers.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), 100).expect("neither is zero, the product is 10 s")
    }
}
