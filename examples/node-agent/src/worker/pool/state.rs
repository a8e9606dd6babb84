use std::collections::{HashMap, VecDeque};
use std::mem;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::pleg::Stamp;
use crate::pod::PodUid;
use crate::worker::{PodWorkers, Waiter, WorkerOptions, WorkerState};

/// What the pool knows; the lock around it is never held over a wait.
#[derive(Debug)]
pub(super) struct State {
    pub(super) workers: PodWorkers,
    /// How it is with the tasks of workers.
    pub(super) slots: HashMap<PodUid, Slot>,
    /// Those whose task is to be started; all are marked as running.
    to_start: VecDeque<PodUid>,
    pub(super) waiters: Waiters,
    pub(super) rng: fastrand::Rng,
    /// Whether the driver has ended.
    pub(super) is_closed: bool,
}

/// How it is with the task of a worker.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Whether it runs or is to be started; it looks for more to do before it ends.
    pub(super) is_running: bool,
    /// When its last turn had ended; `None` before that.
    pub(super) last_turn: Option<Stamp>,
    /// The turn that runs.
    pub(super) turn: Option<CancellationToken>,
}

/// Those who wait for the end of pods.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    last: u64,
    waiting: HashMap<Waiter, oneshot::Sender<()>>,
}

impl State {
    pub(super) fn new(options: &WorkerOptions) -> Self {
        Self {
            workers: PodWorkers::new(options.delays),
            slots: HashMap::new(),
            to_start: VecDeque::new(),
            waiters: Waiters::default(),
            rng: fastrand::Rng::with_seed(options.seed),
            is_closed: false,
        }
    }

    /// Sees to it that a worker's task runs, and returns whether it has to be started for that.
    pub(super) fn wake(&mut self, uid: PodUid) -> bool {
        let slot = self.slots.entry(uid.clone()).or_default();
        if mem::replace(&mut slot.is_running, true) {
            return false;
        }
        self.to_start.push_back(uid);
        true
    }

    /// A worker's task ends. What it knows is of use only if it will run again.
    pub(super) fn rest(&mut self, uid: &PodUid) {
        if let Some(slot) = self.slots.get_mut(uid) {
            (slot.is_running, slot.turn) = (false, None);
        }
        self.tidy(uid);
    }

    /// Drops what is known of the task of a worker that has nothing to do any more.
    pub(super) fn tidy(&mut self, uid: &PodUid) {
        let state = self.workers.get(uid);
        let is_over = state.is_none_or(WorkerState::is_finished);
        if is_over && self.slots.get(uid).is_some_and(|slot| !slot.is_running) {
            self.slots.remove(uid);
        }
    }

    pub(super) fn take_to_start(&mut self) -> VecDeque<PodUid> {
        mem::take(&mut self.to_start)
    }
}

impl Waiters {
    /// Somebody who waits, and is told by this; it is dropped if there is nothing to wait for any more.
    pub(super) fn add(&mut self, tell: oneshot::Sender<()>) -> Waiter {
        self.last += 1;
        let waiter = Waiter(self.last);
        self.waiting.insert(waiter, tell);
        waiter
    }

    pub(super) fn release(&mut self, waiter: Waiter) {
        if let Some(tell) = self.waiting.remove(&waiter) {
            // They may have given up.
            let _ = tell.send(());
        }
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
