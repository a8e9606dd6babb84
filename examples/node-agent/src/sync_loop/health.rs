use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The loop may always take so long for one thing.
const LEAST_LIMIT: Duration = Duration::from_secs(300);

/// When the sync loop was last seen to go round.
///
/// A cheap handle; clones agree. `/healthz` asks it.
#[derive(Clone, Debug, Default)]
pub struct SyncLoopHealth {
    beat: Arc<Mutex<Option<Instant>>>,
}

/// The sync loop does not go round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sync Loop took longer than expected: {age:?} of {limit:?}")]
pub struct StaleSyncLoop {
    /// How long ago it was last seen to.
    pub age: Duration,
    /// How long that may be.
    pub limit: Duration,
}

impl SyncLoopHealth {
    /// How long ago the loop last began or ended to act on something; `None` if it never did.
    pub fn age(&self) -> Option<Duration> {
        let beat = *self.beat.lock();
        beat.map(|beat| beat.elapsed())
    }

    /// Whether the loop goes round, for an agent that looks at each pod once in `resync`. One that
    /// has not begun yet is well.
    ///
    /// # Errors
    ///
    /// It was seen too long ago: 5 min, or twice `resync` if that is more.
    pub fn check(&self, resync: Duration) -> Result<(), StaleSyncLoop> {
        let limit = resync.saturating_mul(2).max(LEAST_LIMIT);
        match self.age() {
            Some(age) if age > limit => Err(StaleSyncLoop { age, limit }),
            _ => Ok(()),
        }
    }

    pub(super) fn beat(&self) {
        *self.beat.lock() = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_loop_has_five_minutes_or_two_syncs() {
        for (resync, longest) in [(60, 300), (300, 600)] {
            let resync = Duration::from_secs(resync);
            let health = SyncLoopHealth::default();
            assert_eq!(health.check(resync), Ok(()), "it has not begun yet");
            health.beat();
            assert_eq!(health.check(resync), Ok(()));
            tokio::time::advance(Duration::from_secs(longest)).await;
            assert_eq!(health.check(resync), Ok(()));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(health.check(resync).is_err());
        }
    }
}
