use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::static_order::StaticOrder;
use super::{
    Delay, Effect, Failure, Outcome, Reaction, RetryDelays, Stage, Subject, Turn, UpdateKind, Work,
    WorkerState, WorkerUpdate,
};
use crate::pod::{PodName, PodUid, is_static, is_terminal};
use crate::runtime::ObservedPod;

/// All pod workers, as a synchronous state machine.
///
/// # Guarantees
///
/// - A uid has at most one worker, and it goes one way, until its uid is pruned by
///   [`sync_known_pods`](Self::sync_known_pods).
/// - A turn is handed out only after the one before was completed, if the caller asks for it only
///   then.
/// - The grace of a pod never grows.
/// - Of static pods with one name one runs at a time.
///
/// Answers to kubelet's `podWorkers`.
#[derive(Clone, Debug, Default)]
pub struct PodWorkers {
    pub(super) states: HashMap<PodUid, WorkerState>,
    pub(super) statics: StaticOrder,
    /// Whether the pods of all sources were seen once: who has no worker then has no containers.
    pub(super) is_synced: bool,
    delays: RetryDelays,
}

impl PodWorkers {
    /// No workers; pods will wait for so long between turns.
    pub fn new(delays: RetryDelays) -> Self {
        Self {
            delays,
            ..Default::default()
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// What is known of the worker of a uid.
    pub fn get(&self, uid: &PodUid) -> Option<&WorkerState> {
        self.states.get(uid)
    }

    /// Tells a worker something, and makes it if there is none.
    ///
    /// `observed` is what the runtime said last of the pod, if anything: a pod that its source says
    /// has ended and of which nothing runs was ended by an agent before this one, and is only
    /// cleaned up after.
    pub fn update(
        &mut self,
        update: WorkerUpdate,
        observed: Option<&ObservedPod>,
        now: Instant,
    ) -> Vec<Effect> {
        let uid = update.subject.uid();
        let pod = update.subject.pod();
        if pod.is_none() && update.kind != UpdateKind::Kill {
            return Vec::new();
        }
        let state = self.states.remove(&uid).unwrap_or_else(|| {
            let name = update.subject.name();
            if pod.is_some_and(|pod| is_static(pod)) {
                self.statics.arrive(&name, &uid);
            }
            let is_over = pod.is_some_and(|pod| is_terminal(pod));
            if is_over && observed.is_some_and(ObservedPod::is_at_rest) {
                WorkerState::terminated(name, now)
            } else {
                WorkerState::new(name)
            }
        });
        let (state, reaction) = state.decide(update, now);
        self.states.insert(uid.clone(), state);

        let Reaction {
            is_accepted,
            cancels,
            released,
        } = reaction;
        let mut effects: Vec<_> = released.into_iter().map(Effect::Release).collect();
        if is_accepted {
            effects.push(Effect::Wake(uid.clone()));
        }
        if cancels {
            effects.push(Effect::Cancel(uid));
        }
        effects
    }

    /// Begins a turn of a worker that was woken and has no other turn. Effects are rare: somebody
    /// may have waited for a pod that never came to run.
    pub fn begin(&mut self, uid: &PodUid, now: Instant) -> (Turn, Vec<Effect>) {
        let Some(mut state) = self.states.remove(uid) else {
            return (Turn::Stop, Vec::new());
        };
        let (turn, effects) = self.begin_with(uid, &mut state, now);
        self.states.insert(uid.clone(), state);
        (turn, effects)
    }

    fn begin_with(
        &mut self,
        uid: &PodUid,
        state: &mut WorkerState,
        now: Instant,
    ) -> (Turn, Vec<Effect>) {
        if state.is_finished {
            return (Turn::Stop, Vec::new());
        }
        let Some(update) = state.pending.take() else {
            return (Turn::Nothing, Vec::new());
        };
        if let (None, Some(pod)) = (state.started_at, update.subject.pod()) {
            if is_static(pod) && state.terminating_at.is_some() {
                return (Turn::Stop, self.never_start(uid, state, now));
            }
            let lives = |other: &PodUid| {
                let other_state = self.states.get(other);
                other == uid || other_state.is_some_and(|it| it.terminating_at.is_none())
            };
            if is_static(pod) && !self.statics.try_start(&state.name, uid, lives) {
                state.pending = Some(update);
                let again = Delay::Jittered(self.delays.backoff);
                return (Turn::NotYet, vec![Effect::Requeue(uid.clone(), again)]);
            }
            state.started_at = Some(now);
        }
        let work = work_of(state, &update);
        state.has_seen_termination |= state.terminating_at.is_some();
        state.active = Some(update);
        (work.map_or(Turn::Nothing, Turn::Work), Vec::new())
    }

    /// A static pod was ended before it was its turn: there is nothing to end or to clean up.
    fn never_start(&mut self, uid: &PodUid, state: &mut WorkerState, now: Instant) -> Vec<Effect> {
        state.terminated_at.get_or_insert(now);
        state.is_finished = true;
        self.statics.leave(&state.name, uid);
        let released = state.take_waiters().into_iter().map(Effect::Release);
        let stopped = released.chain([Effect::Stop(uid.clone())]);
        stopped.chain(self.wake_next(&state.name)).collect()
    }

    /// Says what came of a turn.
    ///
    /// Answers to kubelet's `completeSync`, `completeTerminating`, `completeTerminated` and
    /// `completeWork`.
    pub fn complete(
        &mut self,
        uid: &PodUid,
        work: &Work,
        outcome: Outcome,
        now: Instant,
    ) -> Vec<Effect> {
        let Some(state) = self.states.get_mut(uid) else {
            return vec![Effect::Stop(uid.clone())];
        };
        let mut effects = Vec::new();
        let delay = match (outcome, work) {
            (Outcome::Failed(failure), _) => self.delays.after(failure, now),
            (Outcome::Cancelled, _) => self.delays.after(Failure::Other, now),
            (Outcome::PodEnded, Work::Sync { .. }) => {
                state.terminating_at.get_or_insert(now);
                state.has_seen_termination = true;
                state.repeat();
                Delay::Exactly(Duration::ZERO)
            }
            (_, Work::Sync { .. }) => Delay::Jittered(self.delays.resync),
            (_, Work::Terminate { .. }) => {
                state.terminated_at.get_or_insert(now);
                effects.extend(state.take_waiters().into_iter().map(Effect::Release));
                state.repeat();
                Delay::Exactly(Duration::ZERO)
            }
            // No source has it, so that nobody would ever ask for it to be forgotten.
            (_, Work::TerminateOrphan(_)) => {
                effects.extend(state.take_waiters().into_iter().map(Effect::Release));
                effects.extend(self.forget(uid));
                effects.push(Effect::Stop(uid.clone()));
                return effects;
            }
            (_, Work::CleanUp { .. }) => {
                state.is_finished = true;
                let name = state.name.clone();
                self.statics.leave(&name, uid);
                let stop = [Effect::Stop(uid.clone())].into_iter();
                return stop.chain(self.wake_next(&name)).collect();
            }
        };
        effects.push(Effect::Requeue(uid.clone(), delay));
        if state.pending.is_some() {
            effects.push(Effect::Wake(uid.clone()));
        }
        effects
    }

    /// Returns the effect of that on others.
    pub(super) fn forget(&mut self, uid: &PodUid) -> Option<Effect> {
        let state = self.states.remove(uid)?;
        self.statics.leave(&state.name, uid);
        self.wake_next(&state.name)
    }

    /// Has the next static pod of a name begin, if none has. Upstream lets it find out by itself,
    /// which takes it 10 s and more.
    fn wake_next(&self, name: &PodName) -> Option<Effect> {
        let lives = |uid: &&PodUid| {
            let state = self.states.get(*uid);
            state.is_some_and(|state| state.terminating_at.is_none())
        };
        let next = self.statics.next(name).find(lives)?;
        Some(Effect::Wake(next.clone()))
    }
}

/// What an update makes a worker do.
fn work_of(state: &WorkerState, update: &WorkerUpdate) -> Option<Work> {
    let (pod, mirror) = match &update.subject {
        Subject::Configured { pod, mirror } => (pod.clone(), mirror.clone()),
        Subject::Orphan(observed) => {
            let is_due = state.stage() == Stage::Terminating;
            return is_due.then(|| Work::TerminateOrphan(observed.clone()));
        }
    };
    Some(match state.stage() {
        Stage::Sync => Work::Sync {
            kind: update.kind,
            pod,
            mirror,
        },
        Stage::Terminating => Work::Terminate {
            pod,
            grace: state.grace,
            status: state.told.clone(),
        },
        Stage::Terminated => Work::CleanUp { pod },
    })
}
