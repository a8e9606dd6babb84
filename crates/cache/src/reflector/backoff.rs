use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::config::BackoffConfig;

/// How long an `InternalError` may have been away to count as a new one.
const QUIET: Duration = Duration::from_secs(60);

/// Exponential delays, each drawn from between the delay that is due and twice that.
#[derive(Debug)]
pub(super) struct Backoff {
    config: BackoffConfig,
    due: Duration,
}

impl Backoff {
    pub(super) const fn new(config: BackoffConfig) -> Self {
        let due = config.initial;
        Self { config, due }
    }

    /// The next delay; the one after it is longer.
    pub(super) fn next(&mut self, rng: &mut Rng) -> Duration {
        let due = self.due;
        let longer = due.as_secs_f64() * self.config.factor;
        // What no `Duration` can say is above any cap.
        self.due = Duration::try_from_secs_f64(longer)
            .map_or(self.config.max, |longer| longer.min(self.config.max));
        due + due.mul_f64(rng.f64())
    }

    pub(super) const fn reset(&mut self) {
        self.due = self.config.initial;
    }
}

/// For how long internal errors are answered by trying again at once.
///
/// Answers to client-go's `RetryWithDeadline`.
#[derive(Debug)]
pub(super) struct RetryWindow {
    /// How long after the first error there is still a retry.
    length: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl RetryWindow {
    pub(super) const fn new(length: Duration) -> Self {
        Self {
            length,
            first: None,
            last: None,
        }
    }

    /// Notes an error; whether to try again at once.
    pub(super) fn retry(&mut self, now: Instant) -> bool {
        if self.length.is_zero() {
            return false;
        }
        if self.last.is_some_and(|last| now - last > QUIET) {
            self.first = None;
        }
        self.last = Some(now);
        let first = *self.first.get_or_insert(now);
        if now - first <= self.length {
            return true;
        }
        self.first = None;
        self.last = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to client-go's `TestNewReflectorWithCustomBackoff`: the configured delays count.
    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(BackoffConfig::default());
        let mut rng = Rng::with_seed(7);
        let due = [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
        for due in due.map(Duration::from_millis) {
            let delay = backoff.next(&mut rng);
            assert!(due <= delay && delay < 2 * due, "{delay:?} for {due:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) < Duration::from_millis(1600));
    }

    #[test]
    fn delays_that_outgrow_every_number_stop_at_the_longest() {
        let config = BackoffConfig {
            factor: f64::MAX,
            ..BackoffConfig::default()
        };
        let mut backoff = Backoff::new(config);
        let mut rng = Rng::with_seed(7);
        backoff.next(&mut rng);
        let longest = Duration::from_secs(30);
        assert!((longest..2 * longest).contains(&backoff.next(&mut rng)));
    }

    /// Answers to client-go's `TestRetryWithDeadline`.
    #[test]
    fn internal_errors_are_retried_within_their_window() {
        let at = |start: Instant, seconds| start + Duration::from_secs(seconds);
        let start = Instant::now();
        assert!(!RetryWindow::new(Duration::ZERO).retry(start));

        let mut window = RetryWindow::new(Duration::from_secs(100));
        assert!(window.retry(start));
        assert!(window.retry(at(start, 50)));
        assert!(window.retry(at(start, 100)));
        assert!(!window.retry(at(start, 101)), "the window is over");
        assert!(window.retry(at(start, 102)), "a new window has begun");

        let mut window = RetryWindow::new(Duration::from_secs(100));
        assert!(window.retry(start));
        assert!(window.retry(at(start, 61)), "quiet for more than a minute");
        assert!(window.retry(at(start, 120)));
        assert!(
            window.retry(at(start, 161)),
            "counted from the error at 61 s"
        );
        assert!(!window.retry(at(start, 162)));
    }
}
