//! One moment, by two clocks.

use std::time::Duration;

use jiff::Timestamp;
use kubewright_clock::Clock;
use tokio::time::Instant;

/// A moment by the wall clock, and by the one that nobody sets.
///
/// How long something has to wait is measured by the second alone: it goes on evenly when the first
/// is set. What others say of the past, they say in wall time, and their clocks may show another
/// one: [`when`](Self::when) takes them at their word, within what is possible, and whoever needs
/// the answer for longer keeps that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock.
    pub wall: Timestamp,
    /// By the monotonic clock.
    pub at: Instant,
}

impl Moment {
    /// This moment.
    pub fn now(clock: &Clock) -> Self {
        Self {
            wall: clock.now(),
            at: Instant::now(),
        }
    }

    /// When it was that the wall clock showed `then`; what is yet to come by it is now.
    pub fn when(&self, then: Timestamp) -> Instant {
        let age = self.wall.duration_since(then);
        let age = Duration::try_from(age).unwrap_or_default();
        self.at.checked_sub(age).unwrap_or(self.at)
    }

    /// The same of something that is known not to have been before `earliest`.
    pub fn when_since(&self, then: Timestamp, earliest: Instant) -> Instant {
        self.when(then).max(earliest.min(self.at))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_past_is_what_others_say_as_far_as_it_can_be() {
        let now = Moment {
            wall: "2026-05-01T12:00:00Z".parse().unwrap(),
            at: Instant::now(),
        };
        let ago = |seconds: u64| now.at.checked_sub(Duration::from_secs(seconds)).unwrap();
        // How long ago it is said to be, how long ago at the most, and how long ago it was.
        for (said, most, was) in [
            (10, 60, 10),
            (0, 60, 0),
            (7200, 60, 60),
            (-7200, 60, 0),
            (10, 0, 0),
        ] {
            let then = now.wall - SignedDuration::from_secs(said);
            assert_eq!(now.when_since(then, ago(most)), ago(was), "{said} {most}");
        }
        assert_eq!(
            now.when(now.wall - SignedDuration::from_secs(7200)),
            ago(7200)
        );
        assert_eq!(
            now.when_since(now.wall, now.at + Duration::from_secs(1)),
            now.at
        );
    }
}
