//! What the handles of an informer share.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kubewright_cache::{
    DeltaFifo, Observer, Operation, SourceError, Store, StoreWriter, Undecodable,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::HandlerConfig;
use crate::error::{Error, Unsynced};
use crate::handler::EventHandler;
use crate::metrics::InformerMetrics;
use crate::progress::{self, Progress};
use crate::status::{InformerStatus, Phase, SourceFailure};
use crate::subscriber::{Resyncs, Subscriber, serve};

/// The state of an informer, apart from what only its driver touches.
pub(crate) struct Shared<K: 'static> {
    name: Arc<str>,
    store: Store<K>,
    metrics: Arc<dyn InformerMetrics>,
    members: Mutex<Members<K>>,
    /// Told when a handler arrives or leaves; heard by the driver.
    changed: Notify,
    /// Told when a handler leaves or the last handle is dropped; heard by a factory.
    abandoned: Notify,
    /// Whether the store holds a complete picture.
    progress: watch::Sender<Progress>,
    health: Arc<Health>,
}

/// Who is told of changes.
///
/// The lock is held for list operations only: never while events are posted, and never while user
/// code is dropped.
struct Members<K: 'static> {
    phase: Phase,
    /// What the driver starts with; taken by the first `run`.
    engine: Option<Engine<K>>,
    /// All handlers, in the order in which they were added.
    subscribers: Vec<Arc<Subscriber<K>>>,
    /// Those that the driver has yet to admit.
    arrivals: Vec<Arrival<K>>,
    /// How many handlers were named by number.
    numbered: u64,
}

/// What turns a source into events.
pub(crate) struct Engine<K: 'static> {
    pub(crate) reflect: Reflect,
    pub(crate) fifo: DeltaFifo<K>,
    pub(crate) writer: StoreWriter<K>,
}

/// Runs the reflector until the token is cancelled.
pub(crate) type Reflect = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// A handler that waits to be admitted.
pub(crate) struct Arrival<K> {
    pub(crate) subscriber: Arc<Subscriber<K>>,
    pub(crate) resync: Option<Duration>,
    /// Serves the handler until its mailbox is closed.
    pub(crate) serve: BoxFuture<'static, ()>,
}

impl<K> Shared<K> {
    pub(crate) fn new(
        name: Arc<str>,
        engine: Engine<K>,
        health: Arc<Health>,
        metrics: Arc<dyn InformerMetrics>,
    ) -> Self {
        Self {
            name,
            store: engine.writer.store().clone(),
            metrics,
            members: Mutex::new(Members {
                phase: Phase::Ready,
                engine: Some(engine),
                subscribers: Vec::new(),
                arrivals: Vec::new(),
                numbered: 0,
            }),
            changed: Notify::new(),
            abandoned: Notify::new(),
            progress: watch::Sender::new(Progress::Waiting),
            health,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn store(&self) -> &Store<K> {
        &self.store
    }

    pub(crate) fn metrics(&self) -> &dyn InformerMetrics {
        &*self.metrics
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn has_synced(&self) -> bool {
        self.progress.borrow().is_synced()
    }

    /// The store holds a complete picture.
    pub(crate) fn source_synced(&self) {
        self.progress.send_replace(Progress::Synced);
    }

    pub(crate) fn stopped(&self) -> Error {
        Error::Stopped {
            name: Arc::clone(&self.name),
        }
    }

    pub(crate) fn unsynced(&self) -> Unsynced {
        Unsynced {
            informer: Arc::clone(&self.name),
            cause: self.health.failure(),
        }
    }

    /// Takes the engine, which makes the caller the driver.
    pub(crate) fn start(&self) -> Result<Engine<K>, Error> {
        let mut members = self.members.lock();
        if members.phase == Phase::Stopped {
            return Err(self.stopped());
        }
        let engine = members.engine.take().ok_or_else(|| Error::AlreadyStarted {
            name: Arc::clone(&self.name),
        })?;
        members.phase = Phase::Running;
        Ok(engine)
    }

    /// Ends all handlers' mailboxes and admits no more. Idempotent.
    pub(crate) fn stop(&self) {
        let (engine, arrivals, subscribers) = {
            let mut members = self.members.lock();
            members.phase = Phase::Stopped;
            (
                members.engine.take(),
                std::mem::take(&mut members.arrivals),
                members.subscribers.clone(),
            )
        };
        for subscriber in subscribers {
            subscriber.close();
        }
        progress::end(&self.progress);
        drop((engine, arrivals));
    }

    /// Waits until a handler arrives or leaves; heard by one waiter.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether there are handlers to be admitted.
    pub(crate) fn has_arrivals(&self) -> bool {
        !self.members.lock().arrivals.is_empty()
    }

    /// The handlers that are to be admitted.
    pub(crate) fn arrivals(&self) -> Vec<Arrival<K>> {
        std::mem::take(&mut self.members.lock().arrivals)
    }

    pub(crate) fn has_handlers(&self) -> bool {
        !self.members.lock().subscribers.is_empty()
    }

    /// Waits until a handler leaves or the last handle is dropped; heard by one waiter.
    pub(crate) async fn abandoned(&self) {
        self.abandoned.notified().await;
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.notify_one();
    }

    /// Removes a handler. Idempotent.
    pub(crate) fn leave(&self, subscriber: &Arc<Subscriber<K>>) {
        subscriber.close();
        let arrival = {
            let mut members = self.members.lock();
            if members.phase != Phase::Stopped {
                members
                    .subscribers
                    .retain(|other| !Arc::ptr_eq(other, subscriber));
            }
            let waiting = members
                .arrivals
                .iter()
                .position(|arrival| Arc::ptr_eq(&arrival.subscriber, subscriber));
            waiting.map(|index| members.arrivals.remove(index))
        };
        self.changed.notify_one();
        self.abandon();
        drop(arrival);
    }

    pub(crate) fn status(&self) -> InformerStatus {
        let (phase, subscribers) = {
            let members = self.members.lock();
            (members.phase, members.subscribers.clone())
        };
        let snapshot = self.store.snapshot();
        InformerStatus {
            name: Arc::clone(&self.name),
            phase,
            has_synced: self.has_synced(),
            objects: snapshot.len(),
            resource_version: snapshot.resource_version().cloned(),
            last_event_age: self.health.age(),
            failure: self.health.failure(),
            handlers: subscribers
                .iter()
                .map(|subscriber| subscriber.status())
                .collect(),
        }
    }
}

impl<K: Send + Sync + 'static> Shared<K> {
    /// Adds a handler, which the driver will admit.
    pub(crate) fn join<H: EventHandler<K>>(
        &self,
        handler: H,
        config: HandlerConfig,
    ) -> Result<Arc<Subscriber<K>>, Error> {
        let subscriber = {
            let mut members = self.members.lock();
            if members.phase == Phase::Stopped {
                drop(members);
                return Err(self.stopped());
            }
            let name = match config.name {
                Some(name) => name.into(),
                None => {
                    members.numbered += 1;
                    format!("handler-{}", members.numbered).into()
                }
            };
            let metrics = Arc::clone(&self.metrics);
            let accepts = if config.resync.is_some() {
                Resyncs::Accepted
            } else {
                Resyncs::Refused
            };
            let subscriber = Arc::new(Subscriber::new(name, config.mailbox, accepts, metrics));
            members.subscribers.push(Arc::clone(&subscriber));
            members.arrivals.push(Arrival {
                subscriber: Arc::clone(&subscriber),
                resync: config.resync,
                serve: Box::pin(serve(Arc::clone(&subscriber), handler)),
            });
            subscriber
        };
        self.changed.notify_one();
        Ok(subscriber)
    }
}

/// What is known of the source.
#[derive(Default)]
pub(crate) struct Health(Mutex<LastHeard>);

#[derive(Default)]
struct LastHeard {
    at: Option<Instant>,
    /// Since then.
    failure: Option<SourceFailure>,
}

impl Health {
    /// The source was heard of.
    pub(crate) fn heard(&self, now: Instant) {
        *self.0.lock() = LastHeard {
            at: Some(now),
            failure: None,
        };
    }

    pub(crate) fn failed(&self, failure: SourceFailure) {
        self.0.lock().failure = Some(failure);
    }

    pub(crate) fn failure(&self) -> Option<SourceFailure> {
        self.0.lock().failure.clone()
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        Some(self.0.lock().at?.elapsed())
    }
}

/// Notes failures of the source on their way to the user's observer.
pub(crate) struct Noting {
    pub(crate) health: Arc<Health>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Observer for Noting {
    fn source_failed(&self, operation: Operation, error: &SourceError) {
        self.health.failed(SourceFailure::new(operation, error));
        self.observer.source_failed(operation, error);
    }

    fn undecodable(&self, item: &Undecodable) {
        self.observer.undecodable(item);
    }

    fn decode_failed(&self, error: &kubewright_cache::DecodeError) {
        self.observer.decode_failed(error);
    }

    fn index_failed(&self, failure: &kubewright_cache::IndexFailure) {
        self.observer.index_failed(failure);
    }
}
