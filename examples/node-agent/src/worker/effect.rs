use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, Waiter};
use crate::pod::PodUid;

/// What is to be done about workers.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The worker has something to do: a turn begins, now or after the one that runs. It is started
    /// if it does not run.
    Wake(PodUid),
    /// The turn that runs is not to go on.
    Cancel(PodUid),
    /// The pod is to be looked at again, after a while.
    Requeue(PodUid, Delay),
    /// The containers that somebody waits for have ended.
    Release(Waiter),
    /// The worker has nothing to do any more.
    Stop(PodUid),
}

/// After which while a pod is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// After exactly this.
    Exactly(Duration),
    /// After this, and up to a half of it more, so that not all pods come at once.
    Jittered(Duration),
}

/// How long pods wait between turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryDelays {
    /// After one that went well. Default: 1 min.
    pub resync: Duration,
    /// After one that failed. Default: 10 s.
    pub backoff: Duration,
    /// After one that failed since the network is not ready. Default: 1 s.
    pub network: Duration,
}

impl Default for RetryDelays {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(60),
            backoff: Duration::from_secs(10),
            network: Duration::from_secs(1),
        }
    }
}

impl Delay {
    /// The delay, with a chance between 0 and 1 deciding on its jitter.
    pub fn with_chance(self, chance: f64) -> Duration {
        match self {
            Self::Exactly(delay) => delay,
            Self::Jittered(delay) => delay.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 1.0)),
        }
    }
}

impl RetryDelays {
    /// How long a pod waits after a turn that failed so.
    ///
    /// One that must wait for a back-off waits for exactly that, but never longer than a pod that is
    /// well.
    pub(super) fn after(&self, failure: Failure, now: Instant) -> Delay {
        match failure {
            Failure::NetworkNotReady => Delay::Jittered(self.network),
            Failure::Backoff { expiry } => {
                let left = expiry.saturating_duration_since(now);
                Delay::Exactly(left.min(self.resync))
            }
            Failure::Other => Delay::Jittered(self.backoff),
        }
    }
}
