use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{PodSyncer, RetryDelays, WorkerUpdate};
use crate::event::EventRecorder;
use crate::pleg::{Pleg, PodCache};
use crate::pod::PodUid;

mod driver;
mod kill;
mod predicates;
mod shared;
mod state;
mod turn;

pub use driver::WorkerDriver;
pub use kill::KillWaitError;

use shared::Shared;

/// A handle on the workers of all pods.
///
/// Cheap to clone. The workers are run by a [`WorkerDriver`], one task per pod that has something
/// to do; what they are told before it runs, they act on then, and nothing after it has ended.
///
/// # Guarantees
///
/// - Those of [`PodWorkers`](super::PodWorkers).
/// - Each turn but the first goes by what the runtime said after the turn before had ended; the
///   first by what it said at any time.
/// - A turn that panics costs its pod that turn, and nobody else anything.
///
/// Answers to kubelet's `podWorkers`.
#[derive(Clone)]
pub struct WorkerPool {
    shared: Arc<Shared>,
}

/// What workers work with.
#[derive(Clone, Debug)]
pub struct WorkerParts {
    /// What the runtime says of pods.
    pub cache: PodCache,
    /// Who is asked for what is newer.
    pub pleg: Pleg,
    /// Where failures are told.
    pub events: EventRecorder,
}

/// How workers work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// How long pods wait between turns.
    pub delays: RetryDelays,
    /// What jitter is made from. Default: 0.
    pub seed: u64,
    /// How long turns that were cancelled are waited for when the driver ends. Default: 2 s.
    pub stop_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            delays: RetryDelays::default(),
            seed: 0,
            stop_timeout: Duration::from_secs(2),
        }
    }
}

impl WorkerPool {
    /// No workers, and what runs those that will be.
    pub fn new<S: PodSyncer>(
        syncer: Arc<S>,
        parts: WorkerParts,
        options: WorkerOptions,
    ) -> (Self, WorkerDriver<S>) {
        let shared = Arc::new(Shared::new(parts, &options));
        let driver = WorkerDriver::new(syncer, shared.clone(), options);
        (Self { shared }, driver)
    }

    /// Tells a worker something, makes it if there is none, and returns at once.
    pub fn update(&self, update: WorkerUpdate) {
        self.shared.update(update);
    }

    /// Takes the pods that are to be looked at again by now.
    ///
    /// The sync loop asks for them with every tick. Answers to kubelet's `workQueue.GetWork`.
    pub fn take_due(&self) -> BTreeSet<PodUid> {
        self.shared.take_due()
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("shared", &self.shared)
            .finish()
    }
}
