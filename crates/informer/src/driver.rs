//! The one that moves changes from the source to the handlers.

use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use kubewright_cache::{Batch, DeltaFifo, Event, Initial, StoreWriter};
use tokio::task::coop::consume_budget;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::error::Error;
use crate::resync::ResyncSchedule;
use crate::shared::{Arrival, Engine, Shared};
use crate::subscriber::Subscriber;

/// Drives an informer until the token is cancelled, then joins all its tasks.
///
/// # Errors
///
/// When it was started before.
pub(crate) async fn run<K: Send + Sync + 'static>(
    shared: Arc<Shared<K>>,
    token: CancellationToken,
) -> Result<(), Error> {
    let engine = shared.start()?;
    let span = tracing::info_span!("informer", name = %shared.name());
    let driver = span.in_scope(|| Driver::start(shared, engine, &token));
    driver.run().instrument(span).await;
    Ok(())
}

/// Owns the store's writer, the handlers' tasks and the order of everything.
///
/// Between two batches, the store and what each admitted handler was posted agree exactly.
/// Handlers are admitted and resynced only then, which is why none misses an event or sees one
/// twice.
struct Driver<K: 'static> {
    shared: Stopping<K>,
    writer: StoreWriter<K>,
    fifo: DeltaFifo<K>,
    /// The handlers that were admitted, in that order.
    audience: Vec<Arc<Subscriber<K>>>,
    resyncs: ResyncSchedule<Arc<Subscriber<K>>>,
    /// The handler whose full mailbox the informer waits for, if it does.
    stall: Option<Stall<K>>,
    synced: bool,
    /// The reflector's task and one for each admitted handler.
    tasks: JoinSet<()>,
    reflector: Reflector,
}

struct Reflector {
    task: Id,
    /// Stops it.
    token: CancellationToken,
    /// Whether its task was joined.
    joined: bool,
}

impl<K: Send + Sync + 'static> Driver<K> {
    /// Starts the reflector, which stops with the token.
    fn start(shared: Arc<Shared<K>>, engine: Engine<K>, token: &CancellationToken) -> Self {
        let mut tasks = JoinSet::new();
        let token = token.child_token();
        let reflect = (engine.reflect)(token.clone()).in_current_span();
        let task = tasks.spawn(reflect).id();
        Self {
            shared: Stopping(shared),
            writer: engine.writer,
            fifo: engine.fifo,
            audience: Vec::new(),
            resyncs: ResyncSchedule::new(),
            stall: None,
            synced: false,
            tasks,
            reflector: Reflector {
                task,
                token,
                joined: false,
            },
        }
    }

    /// Drives until the reflector's token is cancelled, then joins all tasks.
    async fn run(mut self) {
        self.drive().await;
        // No more changes.
        self.reflector.token.cancel();
        while !self.reflector.joined
            && let Some(ended) = self.tasks.join_next_with_id().await
        {
            self.note_end(ended);
        }
        // No more events: each handler finishes the one in its hands.
        self.shared.0.stop();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.note_end(ended);
        }
    }

    async fn drive(&mut self) {
        while !self.reflector.joined {
            // Whatever comes without end, this thread's other tasks get their turn.
            consume_budget().await;
            let resync = self.resyncs.next();
            tokio::select! {
                biased;
                () = self.reflector.token.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.note_end(ended),
                Some(()) = OptionFuture::from(resync.map(sleep_until)) => self.resync(),
                Some(()) = OptionFuture::from(self.stall.as_mut().map(Stall::over)) => {
                    self.end_stall();
                }
                batch = self.fifo.pop_batch(), if self.stall.is_none() => {
                    let Some(batch) = batch else { break };
                    self.dispatch(batch);
                    // Neither a stream of changes nor one of handlers keeps the other waiting.
                    if self.shared.0.has_arrivals() {
                        self.admit();
                    }
                }
                () = self.shared.0.changed() => self.admit(),
            }
        }
    }

    /// Applies a batch to the store and tells the handlers.
    fn dispatch(&mut self, mut batch: Batch<K>) {
        let events = self.writer.apply_batch(&mut batch);
        // The log counts as synced once its first picture is processed, and it is.
        drop(batch);
        let now = Instant::now();
        let shared = &*self.shared.0;
        shared.health().heard(now);
        if !events.is_empty() {
            shared.metrics().events(events.len() as u64);
            for subscriber in &self.audience {
                subscriber.post(events.iter().cloned(), now);
            }
        }
        if !self.synced && self.fifo.has_synced() {
            self.synced = true;
            shared.source_synced();
            for subscriber in &self.audience {
                subscriber.source_synced();
            }
        }
        self.stall_if_full();
    }

    /// Lets handlers in that have arrived, and forgets those that have left.
    fn admit(&mut self) {
        let left = |subscriber: &Arc<Subscriber<K>>| !subscriber.is_open();
        self.audience.retain(|subscriber| !left(subscriber));
        self.resyncs.retain(|subscriber| !left(subscriber));
        let arrivals = self.shared.0.arrivals();
        if arrivals.is_empty() {
            return;
        }
        let now = Instant::now();
        let snapshot = self.writer.store().snapshot();
        for arrival in arrivals {
            let Arrival {
                subscriber,
                resync,
                serve,
            } = arrival;
            let replay = snapshot.iter().map(|object| Event::Added {
                object: object.clone(),
                initial: Initial::Yes,
            });
            subscriber.post(replay, now);
            if self.synced {
                subscriber.source_synced();
            }
            if let Some(period) = resync {
                self.resyncs.add(Arc::clone(&subscriber), period, now);
            }
            let span = tracing::info_span!("handler", name = %subscriber.name());
            self.tasks.spawn(serve.instrument(span));
            self.audience.push(subscriber);
        }
    }

    /// Shows every object again to the handlers whose period has passed.
    fn resync(&mut self) {
        let now = Instant::now();
        let snapshot = self.writer.store().snapshot();
        for subscriber in self.resyncs.due(now) {
            if subscriber.is_full() {
                tracing::debug!(handler = %subscriber.name(), "resync left out, mailbox is full");
                continue;
            }
            let again = snapshot.iter().map(|object| Event::Updated {
                old: object.clone(),
                new: object.clone(),
            });
            subscriber.post(again, now);
        }
        self.stall_if_full();
    }

    fn stall_if_full(&mut self) {
        if self.stall.is_none() {
            let full = self.audience.iter().find(|subscriber| subscriber.is_full());
            self.stall = full.map(|subscriber| Stall::new(Arc::clone(subscriber)));
        }
    }

    fn end_stall(&mut self) {
        if let Some(stall) = self.stall.take() {
            let metrics = self.shared.0.metrics();
            metrics.stalled(stall.subscriber.name(), stall.since.elapsed());
        }
        self.stall_if_full();
    }

    /// Notes that a task was joined.
    ///
    /// # Panics
    ///
    /// If the reflector did, for there is nothing left to drive.
    fn note_end(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        let is_reflector = task == self.reflector.task;
        self.reflector.joined |= is_reflector;
        match ended.map_err(JoinError::try_into_panic) {
            Err(Ok(panic)) if is_reflector => std::panic::resume_unwind(panic),
            // Panics in handling are caught.
            Err(Ok(_)) => tracing::error!("handler panicked when dropped, or its metrics did"),
            Ok(_) | Err(Err(_)) => {}
        }
    }
}

/// A full mailbox that the informer waits for.
struct Stall<K> {
    subscriber: Arc<Subscriber<K>>,
    since: Instant,
    warned: bool,
}

/// How long a stall lasts before it is worth a warning.
const LONG_STALL: Duration = Duration::from_secs(1);

impl<K> Stall<K> {
    fn new(subscriber: Arc<Subscriber<K>>) -> Self {
        Self {
            subscriber,
            since: Instant::now(),
            warned: false,
        }
    }

    /// Waits until there is room again.
    async fn over(&mut self) {
        if !self.warned {
            let room = timeout_at(self.since + LONG_STALL, self.subscriber.room());
            if room.await.is_ok() {
                return;
            }
            tracing::warn!(
                handler = %self.subscriber.name(),
                "handler holds up its informer: its lossless mailbox is full",
            );
            self.warned = true;
        }
        self.subscriber.room().await;
    }
}

/// Stops the informer when dropped, so that nobody waits for one whose `run` is gone.
struct Stopping<K: 'static>(Arc<Shared<K>>);

impl<K> Drop for Stopping<K> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
