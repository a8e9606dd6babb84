//! All that the queue's lock guards: the engine, and those who wait for it.
//!
//! Every operation brings the engine to the present time first, and leaves through
//! [`State::settle`], which restores the invariants that make a lost wake-up impossible:
//!
//! 1. As many getters are notified as there are keys ready, or all of them.
//! 2. If a deadline is ahead and getters wait, then one of them is notified, or one, the keeper, has
//!    promised to look again by then.
//! 3. Once no key will ever come, all getters are notified; once the queue is empty, all drains.
//! 4. While a getter waits that is not notified, or a deadline is ahead, the inbox is eager: an add
//!    does not lie there.
//!
//! A notified task gives its seat up when it looks, or when it is dropped without looking; either
//! way passes through `settle`.

#[cfg(test)]
mod model;

use std::task::Waker;

use tokio::time::Instant;

use crate::engine::{Engine, HandedOut, Intake};
use crate::inbox::Add;
use crate::waiters::{Seat, Waiters};
use crate::{Cause, Key};

pub(crate) struct State<K, C> {
    pub(crate) engine: Engine<K, C>,
    getters: Waiters,
    drains: Waiters,
    /// The getter that looks again by a promised time. It may have been notified meanwhile.
    keeper: Option<Keeper>,
    /// How often `shutdown` told the drains of its time to give up.
    aborts: u64,
    /// What the inbox was last told.
    eager: bool,
    /// Adds being taken in; empty but for that.
    batch: Vec<Add<K, C>>,
}

#[derive(Debug, Clone, Copy)]
struct Keeper {
    seat: Seat,
    until: Instant,
}

/// What is left to do once the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Tasks to wake.
    pub(crate) wake: Wakers,
    /// How many keys came to be processed.
    pub(crate) added: usize,
    /// A waker whose destructor may run foreign code.
    discarded: Option<Waker>,
}

/// Seldom more than one waker: that one needs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    first: Option<Waker>,
    more: Vec<Waker>,
}

/// What a getter sees when it looks.
#[derive(Debug)]
pub(crate) enum Look<K, C> {
    Item(HandedOut<K, C>),
    /// Nothing will ever come.
    Finished,
    /// Nothing yet; the getter looks again when woken, and by `until` at the latest.
    Wait {
        until: Option<Instant>,
    },
}

/// What a drain sees when it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainLook {
    Empty,
    Aborted,
    Wait,
}

impl<K: Key, C: Cause> State<K, C> {
    pub(crate) fn new(engine: Engine<K, C>) -> Self {
        Self {
            engine,
            getters: Waiters::default(),
            drains: Waiters::default(),
            keeper: None,
            aborts: 0,
            eager: false,
            batch: Vec::new(),
        }
    }

    /// A getter gives up.
    pub(crate) fn leave(&mut self, seat: &mut Option<Seat>, effects: &mut Effects) {
        self.stand_up(seat, effects);
    }

    /// What a later [`State::drained`] of a drain that begins now has to show.
    pub(crate) fn drain_ticket(&self) -> u64 {
        self.aborts
    }

    /// Tells all drains so far to give up.
    pub(crate) fn abort_drains(&mut self, effects: &mut Effects) {
        self.aborts += 1;
        while let Some(waker) = self.drains.notify_next(None) {
            effects.wake.push(waker);
        }
    }

    /// A drain looks whether the queue is empty, and sits down to wait if it is not.
    pub(crate) fn drained(
        &mut self,
        ticket: u64,
        seat: &mut Option<Seat>,
        waker: &Waker,
        effects: &mut Effects,
    ) -> DrainLook {
        if !self.engine.is_empty() && ticket == self.aborts {
            effects.discarded = self.drains.wait(seat, waker);
            return DrainLook::Wait;
        }
        effects.discarded = self.drains.leave(seat);
        if self.engine.is_empty() {
            DrainLook::Empty
        } else {
            DrainLook::Aborted
        }
    }

    /// A drain gives up.
    pub(crate) fn leave_drain(&mut self, seat: &mut Option<Seat>, effects: &mut Effects) {
        effects.discarded = self.drains.leave(seat);
    }

    /// Brings the engine to `now`.
    pub(crate) fn advance(&mut self, now: Instant, effects: &mut Effects) {
        effects.added += self.engine.advance(now);
    }

    /// Takes in the adds that `collect` puts into the list.
    pub(crate) fn take_in(
        &mut self,
        collect: impl FnOnce(&mut Vec<Add<K, C>>),
        effects: &mut Effects,
    ) {
        collect(&mut self.batch);
        for add in self.batch.drain(..) {
            let Add {
                hash,
                key,
                cause,
                at,
            } = add;
            effects.added += usize::from(self.engine.add(hash, key, cause, at));
        }
    }

    /// Restores the invariants at the top of this file. Returns what the inbox has to be told, if
    /// that is something new: whether somebody waits for adds.
    #[must_use]
    pub(crate) fn settle(&mut self, effects: &mut Effects) -> Option<bool> {
        if !self.getters.is_empty() {
            self.settle_getters(effects);
        }
        if !self.drains.is_empty() && self.engine.is_empty() {
            while let Some(waker) = self.drains.notify_next(None) {
                effects.wake.push(waker);
            }
        }
        let eager = self.getters.has_waiting()
            || self.engine.next_deadline().is_some()
            || self.engine.intake() != Intake::Open;
        let is_new = eager != self.eager;
        self.eager = eager;
        is_new.then_some(eager)
    }

    fn settle_getters(&mut self, effects: &mut Effects) {
        let wanted = if self.engine.is_finished() {
            usize::MAX
        } else {
            self.engine.len()
        };
        let wanted = wanted.min(self.getters.len());
        let keeper = self.keeper.map(|keeper| keeper.seat);
        while self.getters.notified() < wanted {
            let waker = self.getters.notify_next(keeper);
            effects
                .wake
                .push(waker.expect("not all getters are notified"));
        }
        if self.getters.notified() > 0 {
            return;
        }
        if self
            .engine
            .next_deadline()
            .is_some_and(|next| !self.is_kept(next))
        {
            let waker = match keeper {
                Some(seat) => self.getters.notify(seat),
                None => self.getters.notify_next(None),
            };
            effects
                .wake
                .push(waker.expect("getters wait and none is notified"));
        }
    }

    fn is_kept(&self, next: Instant) -> bool {
        self.keeper.is_some_and(|keeper| keeper.until <= next)
    }

    fn stand_up(&mut self, seat: &mut Option<Seat>, effects: &mut Effects) {
        if seat.is_some() && self.keeper.map(|keeper| keeper.seat) == *seat {
            self.keeper = None;
        }
        effects.discarded = self.getters.leave(seat);
    }
}

impl<K: Key, C: Cause> State<K, C> {
    /// A getter looks for a key, and sits down to wait if there is none.
    pub(crate) fn look(
        &mut self,
        seat: &mut Option<Seat>,
        waker: &Waker,
        now: Option<Instant>,
        effects: &mut Effects,
    ) -> Look<K, C> {
        if let Some(item) = self.engine.pop(now) {
            self.stand_up(seat, effects);
            Look::Item(item)
        } else if self.engine.is_finished() {
            self.stand_up(seat, effects);
            Look::Finished
        } else {
            Look::Wait {
                until: self.sit_down(seat, waker, effects),
            }
        }
    }

    /// Waits for a notification; also for the next deadline, if nobody else does.
    fn sit_down(
        &mut self,
        seat: &mut Option<Seat>,
        waker: &Waker,
        effects: &mut Effects,
    ) -> Option<Instant> {
        if seat.is_some() && self.keeper.map(|keeper| keeper.seat) == *seat {
            self.keeper = None;
        }
        effects.discarded = self.getters.wait(seat, waker);
        let until = self
            .engine
            .next_deadline()
            .filter(|&next| !self.is_kept(next))?;
        let seat = seat.expect("it was taken right now");
        self.keeper = Some(Keeper { seat, until });
        Some(until)
    }
}

impl Wakers {
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    pub(crate) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
            self.more.into_iter().for_each(Waker::wake);
        }
    }
}
