use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use super::{Kill, KillCause, Subject, UpdateKind, Waiter, WorkerUpdate, effective_grace};
use crate::pod::{PodName, is_deleting, is_terminal};
use crate::status::Eviction;

/// What a worker does for its pod. It only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It makes what runs what the spec asks for.
    Sync,
    /// It ends all containers.
    Terminating,
    /// It cleans up after a pod without containers.
    Terminated,
}

/// How a worker takes an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Whether it will act on it.
    pub is_accepted: bool,
    /// Whether what it does now is not to go on.
    pub cancels: bool,
    /// Who has nothing to wait for.
    pub released: Vec<Waiter>,
}

/// What is known of one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerState {
    pub(super) name: PodName,
    /// Whether it was told nothing yet.
    is_new: bool,
    /// When its first turn began.
    pub(super) started_at: Option<Instant>,
    /// When its pod came to be ended.
    pub(super) terminating_at: Option<Instant>,
    /// Whether it has seen that: it starts no containers any more. Only if `terminating_at`.
    pub(super) has_seen_termination: bool,
    /// When the last container had ended. Only if `terminating_at`.
    pub(super) terminated_at: Option<Instant>,
    /// Whether it is done with its pod. Only if `terminated_at`.
    pub(super) is_finished: bool,
    /// Whether the pod is deleted: what it leaves behind is of no use.
    pub(super) is_deleted: bool,
    /// Whether the agent wanted the pod's room.
    pub(super) is_evicted: bool,
    /// Whether the runtime had the pod when its source had not.
    pub(super) was_orphan: bool,
    /// Whether a source has the uid again, so that it is to begin once more when it is done.
    pub(super) is_restart_requested: bool,
    /// How long the pod is given to end. Only if `terminating_at`; it never grows.
    pub(super) grace: Option<Duration>,
    /// What is to be told of the end, by the last one who asked for it and had something to say.
    pub(super) told: Option<Eviction>,
    /// Who waits for the end.
    waiters: Vec<Waiter>,
    /// What it is to act on in its next turn.
    pub(super) pending: Option<WorkerUpdate>,
    /// What it acts on in this turn, or did in the last one.
    pub(super) active: Option<WorkerUpdate>,
}

impl WorkerState {
    /// The worker of a pod of this name.
    pub fn new(name: PodName) -> Self {
        Self {
            name,
            is_new: true,
            started_at: None,
            terminating_at: None,
            has_seen_termination: false,
            terminated_at: None,
            is_finished: false,
            is_deleted: false,
            is_evicted: false,
            was_orphan: false,
            is_restart_requested: false,
            grace: None,
            told: None,
            waiters: Vec::new(),
            pending: None,
            active: None,
        }
    }

    /// The worker of a pod that had ended before this agent was started: it only cleans up.
    pub fn terminated(name: PodName, now: Instant) -> Self {
        Self {
            terminating_at: Some(now),
            has_seen_termination: true,
            terminated_at: Some(now),
            ..Self::new(name)
        }
    }

    /// What it does for its pod.
    pub fn stage(&self) -> Stage {
        if self.terminated_at.is_some() {
            Stage::Terminated
        } else if self.terminating_at.is_some() {
            Stage::Terminating
        } else {
            Stage::Sync
        }
    }

    /// How long the pod is given to end; `None` if nobody has asked it to, or for no time.
    pub fn grace(&self) -> Option<Duration> {
        self.grace
    }

    /// Whether it is done with its pod.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Takes an update in. Pure: it looks at its arguments alone.
    ///
    /// Only the newest update is kept. Once the pod is to be ended, all updates are about that.
    /// Answers to kubelet's `UpdatePod`.
    pub fn decide(mut self, mut update: WorkerUpdate, now: Instant) -> (Self, Reaction) {
        let is_new = mem::take(&mut self.is_new);
        let is_orphan = update.subject.pod().is_none();
        if is_orphan {
            self.was_orphan = true;
            if let Some(known) = self.known_subject() {
                update.subject = known.clone();
            }
        }
        let is_ending = self.terminating_at.is_some();
        if !is_new && is_ending && update.kind == UpdateKind::Create {
            self.is_restart_requested = true;
            return (self, Reaction::default());
        }
        if self.is_finished || (self.terminated_at.is_some() && is_orphan) {
            let released = waiter_of(update.kill);
            let reaction = Reaction {
                released,
                ..Default::default()
            };
            return (self, reaction);
        }

        let begins_to_end = !is_ending && self.is_the_end(&update, is_orphan);
        if begins_to_end {
            self.terminating_at = Some(now);
        }
        let mut reaction = Reaction {
            is_accepted: true,
            cancels: begins_to_end,
            released: Vec::new(),
        };
        if self.stage() == Stage::Terminating {
            let asked = update.kill.as_ref().and_then(|kill| kill.grace);
            let pod = update.subject.pod().map(AsRef::as_ref);
            let grace = effective_grace(self.grace, pod, asked);
            let is_shorter = self.grace.replace(grace).is_some_and(|old| old != grace);
            reaction.cancels |= is_shorter;
            // Somebody may ask again and again for an end that does not come.
            if let Some(kill) = &mut update.kill {
                self.told = kill.status.take().or(self.told.take());
                self.waiters.extend(kill.waiter.take());
            }
        } else {
            reaction.released = waiter_of(update.kill.take());
        }
        self.pending = Some(update);
        (self, reaction)
    }

    /// Whether an update asks for the end of the pod; notes what kind of end.
    fn is_the_end(&mut self, update: &WorkerUpdate, is_orphan: bool) -> bool {
        let pod = update.subject.pod();
        if is_orphan || pod.is_some_and(|pod| is_deleting(pod)) {
            self.is_deleted = true;
            return true;
        }
        if pod.is_some_and(|pod| is_terminal(pod)) {
            return true;
        }
        let cause = update.kill.as_ref().map(|kill| kill.cause);
        let is_kill = update.kind == UpdateKind::Kill;
        self.is_evicted |= is_kill && cause == Some(KillCause::Evicted);
        is_kill
    }

    /// The newest that a source has said of the pod.
    pub(super) fn known_subject(&self) -> Option<&Subject> {
        let updates = [&self.pending, &self.active];
        let subjects = updates.into_iter().flatten().map(|update| &update.subject);
        subjects.into_iter().find(|subject| subject.pod().is_some())
    }

    /// Has it act on the last update once more, if it has no other.
    pub(super) fn repeat(&mut self) {
        if self.pending.is_none() {
            self.pending.clone_from(&self.active);
        }
    }

    /// Takes all who wait for the end.
    pub(super) fn take_waiters(&mut self) -> Vec<Waiter> {
        mem::take(&mut self.waiters)
    }
}

fn waiter_of(kill: Option<Kill>) -> Vec<Waiter> {
    kill.and_then(|kill| kill.waiter).into_iter().collect()
}
