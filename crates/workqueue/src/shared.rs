//! The shell around the engine: the locks, the clock, and who is told once they are released.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::task::Waker;

use hashbrown::DefaultHashBuilder;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::inbox::{Add, Inbox};
use crate::state::{DrainLook, Effects, Look, State};
use crate::sync::Lock;
use crate::waiters::Seat;
use crate::{Cause, Key, QueueConfig, QueueMetrics};

/// What all handles of a queue share.
pub(crate) struct Shared<K, C> {
    hasher: DefaultHashBuilder,
    /// Locked alone, or inside of `state`.
    inbox: Lock<Inbox<K, C>>,
    state: Lock<State<K, C>>,
    pub(crate) metrics: Option<Arc<dyn QueueMetrics>>,
}

impl<K: Key, C: Cause> Shared<K, C> {
    pub(crate) fn new(config: QueueConfig<K>) -> Self {
        let engine = Engine::new(config.limiter, config.bucket);
        Self {
            hasher: DefaultHashBuilder::default(),
            inbox: Lock::new(Inbox::new()),
            state: Lock::new(State::new(engine)),
            metrics: config.metrics,
        }
    }

    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Adds a key, and leaves it in the inbox if nobody waits for it.
    pub(crate) fn add(&self, key: K, cause: C) {
        let at = self.metrics.is_some().then(Instant::now);
        let add = Add {
            hash: self.hash(&key),
            key,
            cause,
            at,
        };
        let waited_for = self.inbox.lock().push(add);
        // Metrics tell of an add when it is made.
        if waited_for || at.is_some() {
            self.enter(|_, _, _| ());
        }
    }

    /// Looks at the engine as it is, without bringing it to the present.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&mut Engine<K, C>) -> T) -> T {
        look(&mut self.state.lock().engine)
    }

    /// Enters the lock, brings the state to the present, changes it, settles it, and tells everybody
    /// once outside of the lock.
    ///
    /// The clock is read only if somebody measures or something is delayed.
    pub(crate) fn enter<T>(
        &self,
        change: impl FnOnce(&mut State<K, C>, Option<Instant>, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let mut state = self.state.lock();
        let now = if state.engine.next_deadline().is_some() {
            let now = Instant::now();
            state.advance(now, &mut effects);
            Some(now)
        } else {
            self.metrics.is_some().then(Instant::now)
        };
        state.take_in(|batch| self.inbox.lock().take(batch), &mut effects);
        let result = change(&mut state, now, &mut effects);
        while let Some(eager) = state.settle(&mut effects)
            && self.inbox.lock().set_eager(eager)
        {
            // These came before the inbox was told, and nobody sees to them.
            state.take_in(|batch| self.inbox.lock().take(batch), &mut effects);
        }
        drop(state);
        if let Some(metrics) = &self.metrics {
            for _ in 0..effects.added {
                metrics.adds_total();
                metrics.depth(1);
            }
        }
        effects.wake.wake();
        result
    }

    pub(crate) fn count_retry(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.retries_total();
        }
    }
}

/// A `get` under way; dropped without an item, it passes a notification on.
pub(crate) struct Getter<'a, K: Key, C: Cause> {
    shared: &'a Shared<K, C>,
    seat: Option<Seat>,
}

impl<'a, K: Key, C: Cause> Getter<'a, K, C> {
    pub(crate) fn new(shared: &'a Shared<K, C>) -> Self {
        Self { shared, seat: None }
    }

    pub(crate) fn look(&mut self, waker: &Waker) -> Look<K, C> {
        self.shared
            .enter(|state, now, effects| state.look(&mut self.seat, waker, now, effects))
    }
}

impl<K: Key, C: Cause> Drop for Getter<'_, K, C> {
    fn drop(&mut self) {
        if self.seat.is_some() {
            self.shared
                .enter(|state, _, effects| state.leave(&mut self.seat, effects));
        }
    }
}

/// A drain under way.
pub(crate) struct Drain<'a, K: Key, C: Cause> {
    shared: &'a Shared<K, C>,
    seat: Option<Seat>,
}

impl<'a, K: Key, C: Cause> Drain<'a, K, C> {
    pub(crate) fn new(shared: &'a Shared<K, C>) -> Self {
        Self { shared, seat: None }
    }

    pub(crate) fn look(&mut self, ticket: u64, waker: &Waker) -> DrainLook {
        self.shared
            .enter(|state, _, effects| state.drained(ticket, &mut self.seat, waker, effects))
    }
}

impl<K: Key, C: Cause> Drop for Drain<'_, K, C> {
    fn drop(&mut self) {
        if self.seat.is_some() {
            self.shared
                .enter(|state, _, effects| state.leave_drain(&mut self.seat, effects));
        }
    }
}
