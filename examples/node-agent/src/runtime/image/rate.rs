use std::time::Duration;

use tokio::time::Instant;

use crate::config::Rate;

/// Lets things be done so often in the long run and so often at once.
///
/// Synchronous: the instant is passed in. Answers to client-go's token bucket.
#[derive(Debug)]
pub(super) struct TokenBucket {
    /// How long one takes to come back; `None` if there is no limit.
    period: Option<Duration>,
    burst: u32,
    /// When the bucket would be full again.
    full_at: Option<Instant>,
}

impl TokenBucket {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let limit = rate.filter(|rate| rate.per_second > 0);
        Self {
            period: limit.map(|rate| Duration::from_secs(1) / rate.per_second),
            burst: limit.map_or(0, |rate| rate.burst),
            full_at: None,
        }
    }

    /// Whether one more may be done now, which then counts.
    pub(super) fn try_take(&mut self, now: Instant) -> bool {
        let Some(period) = self.period else {
            return true;
        };
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + period;
        let is_allowed = full_at - now <= period * self.burst;
        if is_allowed {
            self.full_at = Some(full_at);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_as_much_as_comes_back() {
        let rate = Rate {
            per_second: 5,
            burst: 10,
        };
        let mut bucket = TokenBucket::new(Some(rate));
        let now = Instant::now();
        let taken =
            |bucket: &mut TokenBucket, now| (0..100).filter(|_| bucket.try_take(now)).count();
        assert_eq!(taken(&mut bucket, now), 10);
        assert_eq!(taken(&mut bucket, now + Duration::from_millis(199)), 0);
        assert_eq!(taken(&mut bucket, now + Duration::from_secs(1)), 5);
        assert_eq!(taken(&mut bucket, now + Duration::from_secs(60)), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_there_is_no_limit() {
        let unlimited = Rate {
            per_second: 0,
            burst: 0,
        };
        for rate in [None, Some(unlimited)] {
            let mut bucket = TokenBucket::new(rate);
            assert!((0..100).all(|_| bucket.try_take(Instant::now())));
        }
    }
}
