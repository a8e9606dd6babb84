use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::iter::from_fn;
use std::sync::Arc;

use kubewright_workqueue::WorkQueue;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::state::State;
use super::{WorkerOptions, WorkerParts};
use crate::pleg::{Observation, Stamp};
use crate::pod::{PodName, PodUid};
use crate::runtime::ObservedPod;
use crate::worker::{
    Effect, Kill, KnownWorker, Outcome, PodWorkers, Turn, UpdateKind, Work, WorkerUpdate,
};

/// The pool: its state, and what effects act on.
pub(super) struct Shared {
    pub(super) parts: WorkerParts,
    state: Mutex<State>,
    /// There is a task to be started.
    started: Notify,
    /// The pods that are to be looked at again, in their time.
    due: WorkQueue<PodUid>,
    /// Cancelled when the driver ends; tokens of turns are its children.
    token: CancellationToken,
}

/// A turn that has begun.
pub(super) struct Begun {
    pub(super) work: Work,
    pub(super) token: CancellationToken,
    /// When the turn before had ended.
    pub(super) last_turn: Option<Stamp>,
}

impl Shared {
    pub(super) fn new(parts: WorkerParts, options: &WorkerOptions) -> Self {
        Self {
            parts,
            state: Mutex::new(State::new(options)),
            started: Notify::new(),
            due: WorkQueue::default(),
            token: CancellationToken::new(),
        }
    }

    pub(super) fn update(&self, update: WorkerUpdate) {
        self.update_with(update, |_, _| {});
    }

    /// `prepare` may add to the update; it is not called if nobody acts on it any more.
    fn update_with(
        &self,
        mut update: WorkerUpdate,
        prepare: impl FnOnce(&mut State, &mut WorkerUpdate),
    ) {
        let observed = self.known(&update.subject.uid(), &update.subject.name());
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        prepare(&mut state, &mut update);
        let now = Instant::now();
        let effects = state.workers.update(update, observed.as_deref(), now);
        self.apply(&mut state, effects);
    }

    /// Tells a worker to end its pod; what is returned is told when it has, and is dropped if nobody
    /// will do it.
    pub(super) fn kill(&self, update: WorkerUpdate, kill: Kill) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.update_with(update, |state, update| {
            let waiter = Some(state.waiters.add(tell));
            update.kind = UpdateKind::Kill;
            update.kill = Some(Kill { waiter, ..kill });
        });
        told
    }

    pub(super) fn sync_known_pods(
        &self,
        desired: &HashSet<PodUid>,
    ) -> BTreeMap<PodUid, KnownWorker> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let (known, effects) = state.workers.sync_known_pods(desired, now);
        self.apply(&mut state, effects);
        known
    }

    pub(super) fn ask<T>(&self, question: impl FnOnce(&PodWorkers) -> T) -> T {
        question(&self.state.lock().workers)
    }

    pub(super) fn take_due(&self) -> BTreeSet<PodUid> {
        from_fn(|| Some(self.due.try_get()?.key().clone())).collect()
    }

    /// Waits for workers whose task is to be started. Cancel-safe: none is lost.
    pub(super) async fn to_start(&self) -> VecDeque<PodUid> {
        self.started.notified().await;
        self.state.lock().take_to_start()
    }

    /// Begins the next turn of a worker; `None` if it has none, and its task is to end.
    pub(super) fn begin(&self, uid: &PodUid) -> Option<Begun> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        let (turn, effects) = state.workers.begin(uid, Instant::now());
        self.apply(&mut state, effects);
        let Turn::Work(work) = turn else {
            state.rest(uid);
            return None;
        };
        let token = self.token.child_token();
        let slot = state.slots.entry(uid.clone()).or_default();
        slot.turn = Some(token.clone());
        Some(Begun {
            work,
            token,
            last_turn: slot.last_turn,
        })
    }

    pub(super) fn complete(&self, uid: &PodUid, work: &Work, outcome: Outcome) {
        let at = self.parts.cache.stamp();
        let mut state = self.state.lock();
        if let Some(slot) = state.slots.get_mut(uid) {
            (slot.turn, slot.last_turn) = (None, Some(at));
        }
        let now = Instant::now();
        let effects = state.workers.complete(uid, work, outcome, now);
        self.apply(&mut state, effects);
    }

    /// What the runtime says of a pod since its last turn. Cancel-safe.
    pub(super) async fn observe(
        &self,
        uid: &PodUid,
        name: &PodName,
        after: Option<Stamp>,
    ) -> Observation {
        let cache = &self.parts.cache;
        if let Some(observation) = cache.if_newer_than(uid, name, after) {
            return observation;
        }
        self.parts.pleg.request_relist(uid, name);
        cache.newer_than(uid, name, after).await
    }

    /// The driver has ended: nothing will be done any more.
    pub(super) fn close(&self) {
        self.token.cancel();
        let mut state = self.state.lock();
        state.is_closed = true;
        state.waiters.clear();
    }

    /// What the runtime said last of a pod; `None` as long as it may have what nobody knows of.
    fn known(&self, uid: &PodUid, name: &PodName) -> Option<Arc<ObservedPod>> {
        self.parts.cache.if_newer_than(uid, name, None)?.ok()
    }

    fn apply(&self, state: &mut State, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Wake(uid) => {
                    if state.wake(uid) {
                        self.started.notify_one();
                    }
                }
                Effect::Cancel(uid) => {
                    let turn = state.slots.get(&uid).and_then(|slot| slot.turn.as_ref());
                    if let Some(turn) = turn {
                        turn.cancel();
                    }
                }
                Effect::Requeue(uid, delay) => {
                    let delay = delay.with_chance(state.rng.f64());
                    self.due.add_after(uid, delay);
                }
                Effect::Release(waiter) => state.waiters.release(waiter),
                Effect::Stop(uid) => state.tidy(&uid),
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Shared")
            .field("slots", &state.slots)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}
