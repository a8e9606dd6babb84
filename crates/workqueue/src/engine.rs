//! The queue as a synchronous state machine: what happens at an instant, without locks or tasks.
//!
//! Nothing here waits, wakes or reads a clock. The caller brings the engine to the present with
//! [`Engine::advance`] before any other operation, so that keys are ordered by when they became ready.

mod delays;
mod entries;
mod line;
#[cfg(test)]
mod model;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use self::delays::{Delays, Lane};
pub(crate) use self::entries::Id;
use self::entries::{Entries, Phase};
use self::line::Line;
use crate::{Cause, Key, QueueStats, RateLimiter, TokenBucket};

/// What the queue still takes in. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intake {
    /// Everything.
    Open,
    /// No adds; what is delayed still comes.
    Draining,
    /// No adds; what was delayed has been dropped.
    Closed,
}

pub(crate) struct Engine<K, C> {
    entries: Entries<K, C>,
    /// Exactly the keys that are Queued, in the order in which they became so.
    ready: VecDeque<Id>,
    /// Exactly the keys that are Running or Rerun.
    running: Vec<Run>,
    /// How many keys are Queued or Rerun.
    due: usize,
    /// Retries and later runs whose time has not come.
    delays: Delays,
    /// Retries whose own delay is over. A key is not in both `Lane::Retry` and the line.
    line: Line,
    limiter: Box<dyn RateLimiter<K>>,
    intake: Intake,
}

/// A key in the hands of a worker.
#[derive(Debug, Clone, Copy)]
struct Run {
    id: Id,
    /// When it was handed out, if somebody measures.
    since: Option<Instant>,
}

/// A key on its way to a worker.
#[derive(Debug)]
pub(crate) struct HandedOut<K, C> {
    pub(crate) id: Id,
    pub(crate) key: K,
    pub(crate) cause: C,
    /// How long the key was due, if somebody measures.
    pub(crate) waited: Option<Duration>,
}

impl<K, C> Engine<K, C> {
    pub(crate) fn new(limiter: Box<dyn RateLimiter<K>>, bucket: Option<TokenBucket>) -> Self {
        Self {
            entries: Entries::new(),
            ready: VecDeque::new(),
            running: Vec::new(),
            due: 0,
            delays: Delays::default(),
            line: Line::new(bucket),
            limiter,
            intake: Intake::Open,
        }
    }

    pub(crate) fn intake(&self) -> Intake {
        self.intake
    }

    /// How many keys could be handed out now.
    pub(crate) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn stats(&self) -> QueueStats {
        QueueStats {
            ready: self.ready.len(),
            processing: self.running.len(),
            rerun: self.due - self.ready.len(),
            delayed: self.delays.len(),
            awaiting_token: self.line.len(),
        }
    }

    /// Whether no key is queued, running, delayed or waiting for a token.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no key will ever be handed out again.
    pub(crate) fn is_finished(&self) -> bool {
        self.intake != Intake::Open
            && self.due == 0
            && self.delays.is_empty()
            && self.line.is_empty()
    }

    /// When [`advance`](Self::advance) will next have something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let delay = self.delays.next().map(|deadline| deadline.at);
        [delay, self.line.next()].into_iter().flatten().min()
    }

    /// Stops taking keys in, and drops what is delayed if `intake` says so.
    pub(crate) fn close(&mut self, intake: Intake) {
        self.intake = self.intake.max(intake);
        if self.intake < Intake::Closed {
            return;
        }
        while let Some(deadline) = self.delays.pop() {
            self.release(deadline.id);
        }
        while let Some(id) = self.line.pop() {
            self.entries[id].place = None;
            self.release(id);
        }
    }

    /// Says that a run is over.
    pub(crate) fn done(&mut self, id: Id, now: Option<Instant>) -> Option<Duration> {
        let entry = &mut self.entries[id];
        let slot = entry.slot;
        match entry.phase {
            Phase::Rerun => {
                entry.phase = Phase::Queued;
                self.ready.push_back(id);
            }
            Phase::Running => entry.phase = Phase::Parked,
            Phase::Parked | Phase::Queued => unreachable!("only a key handed out can be done"),
        }
        let run = self.running.swap_remove(slot as usize);
        if let Some(moved) = self.running.get(slot as usize) {
            self.entries[moved.id].slot = slot;
        }
        self.release(id);
        since(run.since, now)
    }

    /// How long the present runs have taken at `now`: together, and the longest.
    pub(crate) fn unfinished(&self, now: Instant) -> (Duration, Duration) {
        let ages = self
            .running
            .iter()
            .filter_map(|run| since(run.since, Some(now)));
        ages.fold(Default::default(), |(total, longest), age| {
            (age.saturating_add(total), age.max(longest))
        })
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.limiter.forget(key);
    }

    pub(crate) fn num_requeues(&self, key: &K) -> u32 {
        self.limiter.num_requeues(key)
    }

    /// Drops the entry of a key that nothing holds any more.
    fn release(&mut self, id: Id) {
        let entry = &self.entries[id];
        if entry.phase == Phase::Parked && entry.place.is_none() && !self.delays.holds(id) {
            let gave_back = self.entries.remove(id);
            if gave_back {
                self.ready = VecDeque::new();
                self.delays.release();
            }
        }
    }
}

impl<K, C: Cause> Engine<K, C> {
    /// Brings the queue to `now`: exactly what would have happened, had it been called at every
    /// instant on the way. Returns how many keys came to be processed.
    pub(crate) fn advance(&mut self, now: Instant) -> usize {
        let mut added = 0;
        loop {
            let delay = self.delays.next().map(|deadline| deadline.at);
            let token = self.line.next();
            match (delay, token) {
                (Some(at), token) if at <= now && token.is_none_or(|token| at <= token) => {
                    let deadline = self.delays.pop().expect("it was just looked at");
                    match deadline.lane {
                        Lane::Later => added += usize::from(self.fire(deadline.id, at)),
                        Lane::Retry => {
                            let place = self.line.join(deadline.id, at);
                            self.entries[deadline.id].place = Some(place);
                        }
                    }
                }
                (_, Some(at)) if at <= now => {
                    let id = self.line.pass(at).expect("it was just looked at");
                    self.entries[id].place = None;
                    added += usize::from(self.fire(id, at));
                }
                _ => return added,
            }
        }
    }

    /// Makes a key due because a deadline of it was met, which settles its other deadlines too:
    /// of two, the earlier wins.
    fn fire(&mut self, id: Id, at: Instant) -> bool {
        self.delays.cancel(id, Lane::Later);
        self.cancel_retry(id);
        self.make_due(id, C::default(), Some(at))
    }

    /// A retry has served its purpose once a run begins after it was asked for.
    fn cancel_retry(&mut self, id: Id) {
        self.delays.cancel(id, Lane::Retry);
        if let Some(place) = self.entries[id].place.take() {
            self.line.leave(place);
        }
    }

    /// Whether the key was not due before.
    fn make_due(&mut self, id: Id, cause: C, now: Option<Instant>) -> bool {
        let entry = &mut self.entries[id];
        entry.phase = match entry.phase {
            Phase::Parked => {
                self.ready.push_back(id);
                Phase::Queued
            }
            Phase::Running => Phase::Rerun,
            Phase::Queued | Phase::Rerun => {
                entry.cause.merge(cause);
                return false;
            }
        };
        entry.cause = cause;
        entry.queued_at = now;
        self.due += 1;
        true
    }
}

impl<K: Key, C: Cause> Engine<K, C> {
    /// Whether the key was not due before. `hash` is that of `key`, for all operations the same.
    pub(crate) fn add(&mut self, hash: u64, key: K, cause: C, now: Option<Instant>) -> bool {
        if self.intake != Intake::Open {
            return false;
        }
        let id = self.entries.intern(hash, key);
        self.make_due(id, cause, now)
    }

    pub(crate) fn add_after(&mut self, hash: u64, key: K, at: Instant) {
        if self.intake == Intake::Open {
            let id = self.entries.intern(hash, key);
            self.delays.set(id, Lane::Later, at);
        }
    }

    pub(crate) fn add_rate_limited(&mut self, hash: u64, key: K, now: Instant) {
        if self.intake != Intake::Open {
            return;
        }
        let delay = self.limiter.when(&key);
        let id = self.entries.intern(hash, key);
        let entry = &self.entries[id];
        let is_due = matches!(entry.phase, Phase::Queued | Phase::Rerun);
        if !is_due && entry.place.is_none() {
            self.delays.set(id, Lane::Retry, later(now, delay));
        }
    }

    /// Hands out the key that has been ready for longest.
    pub(crate) fn pop(&mut self, now: Option<Instant>) -> Option<HandedOut<K, C>> {
        let id = *self.ready.front()?;
        let entry = &mut self.entries[id];
        let key = entry.key.clone();
        let cause = std::mem::take(&mut entry.cause);
        entry.phase = Phase::Running;
        entry.slot =
            u32::try_from(self.running.len()).expect("fewer than 2^32 keys are in the queue");
        let waited = since(entry.queued_at.take(), now);
        self.ready.pop_front();
        self.running.push(Run { id, since: now });
        self.due -= 1;
        self.cancel_retry(id);
        Some(HandedOut {
            id,
            key,
            cause,
            waited,
        })
    }
}

/// As good as never, and still to be added to any instant.
pub(crate) const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// `now + delay`, or a time that nobody will see.
pub(crate) fn later(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay.min(THIRTY_YEARS)).unwrap_or(now)
}

fn since(then: Option<Instant>, now: Option<Instant>) -> Option<Duration> {
    Some(now?.saturating_duration_since(then?))
}
