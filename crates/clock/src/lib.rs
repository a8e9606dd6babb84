//! Wall time that follows tokio's clock.
//!
//! Kubernetes objects carry wall-clock timestamps (`creationTimestamp`, a condition's
//! `lastTransitionTime`, a Lease's `renewTime`), while timers run on a monotonic clock.
//! A program that reads the two from different sources cannot be tested under paused time.
//! [`Clock`] is the one place in this workspace that reads wall time.
//!
//! # Guarantees
//!
//! - [`Clock::system`] reads the system's clock at every call, so it follows adjustments and
//!   suspends. It may step backwards when the system's clock does.
//! - [`Clock::starting_at`] never reads the system's clock. It advances exactly as
//!   [`tokio::time::Instant`] does: under paused time, only when time is advanced.
//! - [`Clock::settable`] is such a clock that may be set, as administrators and NTP set those of
//!   machines. Timers do not notice.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use kubewright_clock::Clock;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let clock = Clock::starting_at("2024-05-01T12:00:00Z".parse().expect("a valid timestamp"));
//! tokio::time::advance(Duration::from_secs(90)).await;
//! assert_eq!(clock.now().to_string(), "2024-05-01T12:01:30Z");
//! # }
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A source of wall time.
///
/// Cheap to clone; clones of a clock made by [`Clock::starting_at`] agree for ever.
#[derive(Clone, Debug)]
pub struct Clock {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    System,
    Virtual {
        epoch: Timestamp,
        start: Instant,
        /// By how many nanoseconds it was set ahead, in all.
        ahead: Arc<AtomicI64>,
    },
}

/// Sets a clock and all its clones.
#[derive(Debug)]
pub struct ClockSetter {
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The system's wall clock, read anew at every call.
    pub const fn system() -> Self {
        Self { kind: Kind::System }
    }

    /// A clock that shows `epoch` now and advances with tokio's clock.
    ///
    /// Call it inside the runtime whose time it is to follow.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self::settable(epoch).0
    }

    /// The same, and what sets it.
    pub fn settable(epoch: Timestamp) -> (Self, ClockSetter) {
        let ahead = Arc::new(AtomicI64::new(0));
        let setter = ClockSetter {
            ahead: ahead.clone(),
        };
        let kind = Kind::Virtual {
            epoch,
            start: Instant::now(),
            ahead,
        };
        (Self { kind }, setter)
    }

    /// The current wall time.
    ///
    /// A virtual clock that runs past the year 9999 stays at [`Timestamp::MAX`], and one that is set
    /// back by too much at [`Timestamp::MIN`].
    pub fn now(&self) -> Timestamp {
        match &self.kind {
            Kind::System =>
            {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this is the one place that reads wall time"
                )]
                Timestamp::now()
            }
            Kind::Virtual {
                epoch,
                start,
                ahead,
            } => {
                let elapsed = SignedDuration::try_from(start.elapsed());
                let ahead = SignedDuration::from_nanos(ahead.load(Ordering::Relaxed));
                let since = elapsed.unwrap_or(SignedDuration::MAX).saturating_add(ahead);
                epoch
                    .saturating_add(since)
                    .unwrap_or(match since.is_negative() {
                        true => Timestamp::MIN,
                        false => Timestamp::MAX,
                    })
            }
        }
    }
}

impl ClockSetter {
    /// Sets the clock by so much, ahead or back.
    ///
    /// In all it is set by 292 years at most; what is more wraps around.
    pub fn adjust(&self, by: SignedDuration) {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Default for Clock {
    /// [`Clock::system`].
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_moves_only_with_tokio_time() {
        let epoch: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(epoch);
        let twin = clock.clone();
        assert_eq!(clock.now(), epoch);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now(), "2024-01-01T00:00:01.5Z".parse().unwrap());
        assert_eq!(twin.now(), clock.now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_stops_at_the_end_of_time() {
        let clock = Clock::starting_at(Timestamp::MAX);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), Timestamp::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_goes_on_from_there() {
        let epoch: Timestamp = "2024-01-01T12:00:00Z".parse().unwrap();
        let (clock, setter) = Clock::settable(epoch);
        let twin = clock.clone();
        setter.adjust(SignedDuration::from_hours(2));
        assert_eq!(twin.now(), "2024-01-01T14:00:00Z".parse().unwrap());
        setter.adjust(SignedDuration::from_hours(-3));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), "2024-01-01T11:00:01Z".parse().unwrap());
        setter.adjust(SignedDuration::from_hours(-24 * 365 * 100));
        assert_eq!(clock.now().to_string(), "1924-01-26T11:00:01Z");
    }

    #[test]
    fn the_system_clock_is_past_2024() {
        assert!(Clock::default().now() > "2024-01-01T00:00:00Z".parse().unwrap());
    }
}
