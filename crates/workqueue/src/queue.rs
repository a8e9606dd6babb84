//! The queue's handle: the lock, the clock and the wakers around the engine.

use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker, ready};
use std::time::Duration;

use hashbrown::DefaultHashBuilder;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::{Engine, HandedOut, Id, Intake, later};
use crate::state::{DrainLook, Effects, Look, State};
use crate::sync::Lock;
use crate::waiters::Seat;
use crate::{Cause, QueueConfig, QueueMetrics, QueueStats, WorkItem};

/// A fair work queue of de-duplicated keys; see the [crate](crate) for its contract.
///
/// A handle: clones are the same queue. It runs no task of its own; a waiting [`get`](Self::get)
/// drives the timers.
///
/// `K` is what is processed, hashed once per operation and cloned once when it is handed out.
/// `C` is what adds leave behind for the run that answers them, see [`Cause`].
pub struct WorkQueue<K, C: Cause = ()> {
    shared: Arc<Shared<K, C>>,
}

struct Shared<K, C> {
    hasher: DefaultHashBuilder,
    state: Lock<State<K, C>>,
    metrics: Option<Arc<dyn QueueMetrics>>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is queued or being processed any more.
    Complete,
    /// [`WorkQueue::shutdown`] was called before that.
    Aborted,
}

impl<K: Clone + Eq + Hash, C: Cause> WorkQueue<K, C> {
    /// An empty queue.
    pub fn new(config: QueueConfig<K>) -> Self {
        let engine = Engine::new(config.limiter, config.bucket);
        Self {
            shared: Arc::new(Shared {
                hasher: DefaultHashBuilder::default(),
                state: Lock::new(State::new(engine)),
                metrics: config.metrics,
            }),
        }
    }

    /// Asks for `key` to be processed: now, or once more after its present run.
    ///
    /// Does nothing if `key` is waiting to be processed already, or after a shutdown.
    pub fn add(&self, key: K) {
        self.add_with(key, C::default());
    }

    /// Like [`add`](Self::add), and leaves `cause` behind for the run that answers this add.
    pub fn add_with(&self, key: K, cause: C) {
        let hash = self.shared.hasher.hash_one(&key);
        let _spare = self.shared.enter(|state, now, effects| {
            let added = state.engine.add(hash, key, cause, now);
            effects.added += usize::from(added.is_new);
            added.spare
        });
    }

    /// Asks for `key` to be processed once `delay` is over; at once if it is zero.
    ///
    /// If a delay of `key` is under way already, the earlier deadline wins.
    /// Other adds of `key` do not take the deadline away: once it is met the key runs, also if it
    /// ran in between.
    /// Delays are rounded up to a millisecond by tokio's timer; one above 30 years counts as 30 years.
    ///
    /// Answers to client-go's `AddAfter`.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.shared.count_retry();
        if delay.is_zero() {
            return self.add(key);
        }
        let hash = self.shared.hasher.hash_one(&key);
        let _spare = self.shared.enter(|state, now, _| {
            let at = later(now.unwrap_or_else(Instant::now), delay);
            state.engine.add_after(hash, key, at).spare
        });
    }

    /// Asks for another try of `key` when the limiters allow it.
    ///
    /// The delay that [`QueueConfig::limiter`] sets for `key` runs first.
    /// Then the key stands in line, first come first served, for a token of
    /// [`QueueConfig::bucket`], and becomes ready when it gets one.
    ///
    /// - Keys added by [`add`](Self::add) and [`add_after`](Self::add_after) need no token and
    ///   overtake the line, also keys that stand in it.
    /// - Nothing is reserved: the wait in the line depends on how many keys stand before this one,
    ///   not on how often any of them was added. A key stands in the line once.
    /// - A retry is a wish for a run that begins after it was asked for. If the key is handed out
    ///   meanwhile, for whatever reason, the wish is fulfilled: the key leaves the line, takes no
    ///   token and is not run a second time.
    ///
    /// Answers to client-go's `AddRateLimited` with its default limiter, whose bucket hands out
    /// reservations instead.
    pub fn add_rate_limited(&self, key: K) {
        self.shared.count_retry();
        let hash = self.shared.hasher.hash_one(&key);
        let _spare = self.shared.enter(|state, now, effects| {
            let now = now.unwrap_or_else(Instant::now);
            let added = state.engine.add_rate_limited(hash, key, now);
            // The limiter may say zero, and a token may be there.
            state.advance(now, effects);
            added.spare
        });
    }

    /// Lets the limiter forget the failures of `key`.
    ///
    /// Call it when `key` succeeded, or when nobody will try it again.
    /// It takes away no run and no retry that was asked for.
    pub fn forget(&self, key: &K) {
        self.shared.state.lock().engine.forget(key);
    }

    /// How often `key` failed since it was last forgotten, by the limiter's count.
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.shared.state.lock().engine.num_requeues(key)
    }

    /// Waits for the next key to process.
    ///
    /// `None` says that the queue is shut down and that no key will ever come again: nothing is
    /// queued, no key that is being processed is to run again, and nothing is delayed that a drain
    /// waits for. A worker may end its loop.
    ///
    /// A `get` that was polled has to be polled on when it is woken, or dropped, as with all of
    /// tokio's primitives: it may be the one that was notified.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses neither a key nor a wake-up: a key is taken in the very poll that
    /// returns it, and a notification that was on its way passes on to another waiting `get`.
    ///
    /// # Panics
    ///
    /// If something is delayed while it is polled outside of a tokio runtime with a clock.
    pub async fn get(&self) -> Option<WorkItem<K, C>> {
        let mut getter = Getter {
            shared: &self.shared,
            seat: None,
        };
        let mut alarm = pin!(None::<Sleep>);
        let item = poll_fn(|cx| {
            let budget = ready!(coop::poll_proceed(cx));
            loop {
                let until = match getter.look(cx.waker()) {
                    Look::Item(item) => {
                        budget.made_progress();
                        return Poll::Ready(Some(item));
                    }
                    Look::Finished => return Poll::Ready(None),
                    Look::Wait { until: None } => return Poll::Pending,
                    Look::Wait { until: Some(until) } => until,
                };
                if alarm.as_ref().as_pin_ref().map(|alarm| alarm.deadline()) != Some(until) {
                    alarm.set(Some(sleep_until(until)));
                }
                let alarm = alarm.as_mut().as_pin_mut().expect("it was set right now");
                ready!(alarm.poll(cx));
            }
        })
        .await;
        item.map(|item| self.hand_out(item))
    }

    /// The next key to process, if one is ready right now.
    pub fn try_get(&self) -> Option<WorkItem<K, C>> {
        let item = self.shared.enter(|state, now, _| state.engine.pop(now));
        item.map(|item| self.hand_out(item))
    }

    /// How many keys are ready to be handed out.
    ///
    /// Without those that are being processed, delayed or waiting for a token.
    pub fn len(&self) -> usize {
        self.stats().ready
    }

    /// Whether no key is ready to be handed out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys are in each stage.
    pub fn stats(&self) -> QueueStats {
        self.shared.enter(|state, _, _| state.engine.stats())
    }

    fn hand_out(&self, item: HandedOut<K, C>) -> WorkItem<K, C> {
        if let Some(metrics) = &self.shared.metrics {
            metrics.depth(-1);
            metrics.queue_duration_seconds(item.waited.unwrap_or_default());
        }
        WorkItem::new(self.clone(), item.id, item.key, item.cause)
    }
}

impl<K, C: Cause> WorkQueue<K, C> {
    /// Whether the queue takes no more keys: [`shutdown`](Self::shutdown) or a drain was called.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.state.lock().engine.intake() != Intake::Open
    }

    /// Stops taking keys, drops all that is delayed or waits for a token, and aborts drains under way.
    ///
    /// What is ready is still handed out, and a key that is to run again still does;
    /// then every [`get`](Self::get) returns `None`.
    pub fn shutdown(&self) {
        self.shared.enter(|state, _, effects| {
            state.engine.close(Intake::Closed);
            state.abort_drains(effects);
        });
    }

    /// Shuts the queue down and waits until all that is ready or being processed is done.
    ///
    /// Keys that are to run again after their present run are waited for too.
    /// Delayed keys, and those that wait for a token, are dropped; see [`drain_all`](Self::drain_all).
    /// Workers have to go on calling [`get`](Self::get) until it returns `None`.
    /// Any number of tasks may drain at once, and all of them return.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops waiting. The queue stays shut down once the future was polled.
    pub async fn drain(&self) -> Drained {
        self.drain_until(Intake::Closed).await
    }

    /// Like [`drain`](Self::drain), and waits for delayed keys and for those in line for a token, at
    /// their own time, too.
    ///
    /// A [`drain`](Self::drain) or [`shutdown`](Self::shutdown) that comes later drops those after all.
    ///
    /// # Cancel safety
    ///
    /// As of [`drain`](Self::drain).
    pub async fn drain_all(&self) -> Drained {
        self.drain_until(Intake::Draining).await
    }

    /// Tells the metrics how long the present runs have taken so far.
    ///
    /// Whoever exports the metrics calls this before reading them, or every half second as client-go
    /// does; the queue has no task of its own to do it.
    /// Does nothing without metrics, and nothing after a shutdown, as in client-go.
    pub fn report_unfinished(&self) {
        let Some(metrics) = &self.shared.metrics else {
            return;
        };
        let now = Instant::now();
        let state = self.shared.state.lock();
        if state.engine.intake() != Intake::Open {
            return;
        }
        let (total, longest) = state.engine.unfinished(now);
        drop(state);
        metrics.unfinished_work_seconds(total);
        metrics.longest_running_processor_seconds(longest);
    }

    pub(crate) fn done(&self, id: Id) {
        let worked = self
            .shared
            .enter(|state, now, _| state.engine.done(id, now));
        if let (Some(metrics), Some(worked)) = (&self.shared.metrics, worked) {
            metrics.work_duration_seconds(worked);
        }
    }

    async fn drain_until(&self, intake: Intake) -> Drained {
        let ticket = self.shared.enter(|state, _, _| {
            state.engine.close(intake);
            state.drain_ticket()
        });
        let mut drain = Drain {
            shared: &self.shared,
            seat: None,
        };
        poll_fn(|cx| match drain.look(ticket, cx.waker()) {
            DrainLook::Empty => Poll::Ready(Drained::Complete),
            DrainLook::Aborted => Poll::Ready(Drained::Aborted),
            DrainLook::Wait => Poll::Pending,
        })
        .await
    }
}

impl<K, C: Cause> Shared<K, C> {
    /// Enters the lock, brings the state to the present, changes it, settles it, and tells everybody
    /// once outside of the lock.
    ///
    /// The clock is read only if somebody measures or something is delayed.
    fn enter<T>(
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
        let result = change(&mut state, now, &mut effects);
        state.settle(&mut effects);
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

    fn count_retry(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.retries_total();
        }
    }
}

/// A `get` under way; dropped without an item, it passes a notification on.
struct Getter<'a, K, C: Cause> {
    shared: &'a Shared<K, C>,
    seat: Option<Seat>,
}

impl<K: Clone + Eq + Hash, C: Cause> Getter<'_, K, C> {
    fn look(&mut self, waker: &Waker) -> Look<K, C> {
        self.shared
            .enter(|state, now, effects| state.look(&mut self.seat, waker, now, effects))
    }
}

impl<K, C: Cause> Drop for Getter<'_, K, C> {
    fn drop(&mut self) {
        if self.seat.is_some() {
            self.shared
                .enter(|state, _, effects| state.leave(&mut self.seat, effects));
        }
    }
}

/// A drain under way.
struct Drain<'a, K, C: Cause> {
    shared: &'a Shared<K, C>,
    seat: Option<Seat>,
}

impl<K, C: Cause> Drain<'_, K, C> {
    fn look(&mut self, ticket: u64, waker: &Waker) -> DrainLook {
        self.shared
            .enter(|state, _, effects| state.drained(ticket, &mut self.seat, waker, effects))
    }
}

impl<K, C: Cause> Drop for Drain<'_, K, C> {
    fn drop(&mut self) {
        if self.seat.is_some() {
            self.shared
                .enter(|state, _, effects| state.leave_drain(&mut self.seat, effects));
        }
    }
}

impl<K, C: Cause> Clone for WorkQueue<K, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for WorkQueue<K> {
    /// A queue with [`QueueConfig::default`].
    fn default() -> Self {
        Self::new(QueueConfig::default())
    }
}

impl<K, C: Cause> fmt::Debug for WorkQueue<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("WorkQueue")
            .field("stats", &state.engine.stats())
            .field("is_shutting_down", &(state.engine.intake() != Intake::Open))
            .finish_non_exhaustive()
    }
}
