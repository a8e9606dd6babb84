//! The queue's handle: what users call.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::{HandedOut, Id, Intake, later};
use crate::shared::{Drain, Getter, Shared};
use crate::state::{DrainLook, Look};
use crate::{Cause, Key, QueueConfig, QueueStats, WorkItem};

/// A fair work queue of de-duplicated keys; see the [crate](crate) for its contract.
///
/// A handle: clones are the same queue. It runs no task of its own; a waiting [`get`](Self::get)
/// drives the timers.
///
/// `K` is what is processed, hashed once per operation and cloned once when it is handed out.
/// `C` is what adds leave behind for the run that answers them, see [`Cause`].
pub struct WorkQueue<K: Key, C: Cause = ()> {
    shared: Arc<Shared<K, C>>,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is queued or being processed any more.
    Complete,
    /// [`WorkQueue::shutdown`] was called before that.
    Aborted,
}

impl<K: Key, C: Cause> WorkQueue<K, C> {
    /// An empty queue.
    pub fn new(config: QueueConfig<K>) -> Self {
        Self {
            shared: Arc::new(Shared::new(config)),
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
        self.shared.add(key, cause);
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
        let hash = self.shared.hash(&key);
        self.shared.enter(|state, now, _| {
            let at = later(now.unwrap_or_else(Instant::now), delay);
            state.engine.add_after(hash, key, at);
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
        let hash = self.shared.hash(&key);
        self.shared.enter(|state, now, effects| {
            let now = now.unwrap_or_else(Instant::now);
            state.engine.add_rate_limited(hash, key, now);
            // The limiter may say zero, and a token may be there.
            state.advance(now, effects);
        });
    }

    /// Lets the limiter forget the failures of `key`.
    ///
    /// Call it when `key` succeeded, or when nobody will try it again.
    /// It takes away no run and no retry that was asked for.
    pub fn forget(&self, key: &K) {
        self.shared.peek(|engine| engine.forget(key));
    }

    /// How often `key` failed since it was last forgotten, by the limiter's count.
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.shared.peek(|engine| engine.num_requeues(key))
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
        let mut getter = Getter::new(&self.shared);
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

    /// Whether the queue takes no more keys: [`shutdown`](Self::shutdown) or a drain was called.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.peek(|engine| engine.intake() != Intake::Open)
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
        let unfinished = self.shared.peek(|engine| {
            let is_open = engine.intake() == Intake::Open;
            is_open.then(|| engine.unfinished(now))
        });
        let Some((total, longest)) = unfinished else {
            return;
        };
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

    fn hand_out(&self, item: HandedOut<K, C>) -> WorkItem<K, C> {
        if let Some(metrics) = &self.shared.metrics {
            metrics.depth(-1);
            metrics.queue_duration_seconds(item.waited.unwrap_or_default());
        }
        WorkItem::new(self.clone(), item.id, item.key, item.cause)
    }

    async fn drain_until(&self, intake: Intake) -> Drained {
        let ticket = self.shared.enter(|state, _, _| {
            state.engine.close(intake);
            state.drain_ticket()
        });
        let mut drain = Drain::new(&self.shared);
        poll_fn(|cx| match drain.look(ticket, cx.waker()) {
            DrainLook::Empty => Poll::Ready(Drained::Complete),
            DrainLook::Aborted => Poll::Ready(Drained::Aborted),
            DrainLook::Wait => Poll::Pending,
        })
        .await
    }
}

impl<K: Key, C: Cause> Clone for WorkQueue<K, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Key + Send + 'static> Default for WorkQueue<K> {
    /// A queue with [`QueueConfig::default`].
    fn default() -> Self {
        Self::new(QueueConfig::default())
    }
}

impl<K: Key, C: Cause> fmt::Debug for WorkQueue<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.shared.peek(|engine| engine.stats());
        f.debug_struct("WorkQueue")
            .field("stats", &stats)
            .field("is_shutting_down", &self.is_shutting_down())
            .finish_non_exhaustive()
    }
}
