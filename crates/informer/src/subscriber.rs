//! One handler, as the rest of the informer sees it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use kubewright_cache::Event;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handler::EventHandler;
use crate::mailbox::{Counts, Inbox, Mailbox, Outcome, Taken, initial_additions};
use crate::metrics::InformerMetrics;
use crate::progress::{self, Progress};
use crate::status::HandlerStatus;

tokio::task_local! {
    /// The address of the subscriber on whose behalf the current task runs user code.
    static HANDLING: usize;
}

/// Whether a handler is told of updates to the same version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resyncs {
    Accepted,
    Refused,
}

/// A handler's mailbox with the signals around it.
pub(crate) struct Subscriber<K> {
    name: Arc<str>,
    inbox: Mutex<Inbox<K>>,
    resyncs: Resyncs,
    /// Told when something was posted, or nothing more will be.
    posted: Notify,
    /// Told when there is room, or none is needed any more.
    room: Notify,
    progress: watch::Sender<Progress>,
    /// Cancelled once the handler is dropped, so that no code of its runs or ever will.
    gone: CancellationToken,
    metrics: Arc<dyn InformerMetrics>,
}

impl<K> Subscriber<K> {
    pub(crate) fn new(
        name: Arc<str>,
        mailbox: Mailbox,
        resyncs: Resyncs,
        metrics: Arc<dyn InformerMetrics>,
    ) -> Self {
        Self {
            name,
            inbox: Mutex::new(Inbox::new(mailbox)),
            resyncs,
            posted: Notify::new(),
            room: Notify::new(),
            progress: watch::Sender::new(Progress::Waiting),
            gone: CancellationToken::new(),
            metrics,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Posts what concerns this handler.
    pub(crate) fn post(&self, events: impl IntoIterator<Item = Event<K>>, now: Instant) {
        let mut synced = false;
        let coalesced = {
            let mut inbox = self.inbox.lock();
            let before = inbox.counts().coalesced;
            for event in events {
                if self.resyncs == Resyncs::Accepted || !event.is_resync() {
                    synced |= inbox.post(event, now);
                }
            }
            inbox.counts().coalesced - before
        };
        self.posted.notify_one();
        if coalesced > 0 {
            self.metrics.coalesced(&self.name, coalesced);
        }
        self.publish(synced);
    }

    /// Says that the source's first complete picture has been posted.
    pub(crate) fn source_synced(&self) {
        let synced = self.inbox.lock().source_synced();
        self.publish(synced);
    }

    /// Whether the sender is to wait before the next batch.
    pub(crate) fn is_full(&self) -> bool {
        self.inbox.lock().is_full()
    }

    /// Waits until the mailbox is not full.
    ///
    /// There is one waiter at a time: the informer's driver.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            self.room.notified().await;
        }
    }

    /// Drops what waits and hands nothing over any more. Idempotent.
    pub(crate) fn close(&self) {
        let dropped = self.shut();
        if dropped > 0 {
            self.metrics.dropped(&self.name, dropped as u64);
        }
    }

    /// Closes the mailbox, without a word to the metrics; says how many entries waited.
    fn shut(&self) -> usize {
        let dropped = self.inbox.lock().close();
        self.posted.notify_one();
        self.room.notify_one();
        dropped
    }

    pub(crate) fn is_open(&self) -> bool {
        self.inbox.lock().is_open()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Cancelled once no code of the handler runs or ever will.
    pub(crate) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Whether the current task is just handling an event for this subscriber.
    pub(crate) fn is_current(&self) -> bool {
        HANDLING.try_with(|&handling| handling == self.address()) == Ok(true)
    }

    pub(crate) fn status(&self) -> HandlerStatus {
        let inbox = self.inbox.lock();
        let Counts {
            handled,
            coalesced,
            dropped,
            panicked,
        } = inbox.counts();
        HandlerStatus {
            name: Arc::clone(&self.name),
            pending: inbox.len(),
            has_synced: self.progress.borrow().is_synced(),
            handled,
            coalesced,
            dropped,
            panicked,
        }
    }

    async fn next(&self) -> Option<Taken<K>> {
        loop {
            {
                let mut inbox = self.inbox.lock();
                if let Some(taken) = inbox.take() {
                    let full = inbox.is_full();
                    drop(inbox);
                    if !full {
                        self.room.notify_one();
                    }
                    return Some(taken);
                }
                if !inbox.is_open() {
                    return None;
                }
            }
            self.posted.notified().await;
        }
    }

    fn handled(&self, initial_additions: usize, outcome: Outcome) {
        let synced = self.inbox.lock().handled(initial_additions, outcome);
        self.publish(synced);
    }

    fn publish(&self, synced: bool) {
        if synced {
            self.progress.send_replace(Progress::Synced);
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Serves a handler until its mailbox is closed.
///
/// Whether the returned future ends, is aborted, or is dropped without ever being polled: the
/// subscriber's `gone` is told once the handler has been dropped.
pub(crate) fn serve<K, H>(
    subscriber: Arc<Subscriber<K>>,
    handler: H,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Send + Sync + 'static,
    H: EventHandler<K>,
{
    // Fields drop in order: first the handler, then the news of it.
    let mut served = Served {
        handler,
        farewell: Farewell(subscriber),
    };
    async move {
        let Served { handler, farewell } = &mut served;
        let subscriber = &farewell.0;
        let handling = HANDLING.scope(subscriber.address(), async {
            while let Some(taken) = subscriber.next().await {
                handle(subscriber, handler, taken).await;
                // A backlog must not keep other tasks of this thread waiting.
                consume_budget().await;
            }
        });
        handling.await;
    }
}

/// Hands one event over, and survives its handler's panic.
async fn handle<K, H: EventHandler<K>>(
    subscriber: &Subscriber<K>,
    handler: &mut H,
    taken: Taken<K>,
) {
    let Taken { event, since } = taken;
    let initial = initial_additions(&event);
    let key = event.key().clone();
    let begun = Instant::now();
    // The call itself is inside, since a closure does all its work there.
    let outcome = AssertUnwindSafe(async { handler.handle(event).await })
        .catch_unwind()
        .await;
    let took = begun.elapsed();
    let outcome = match outcome {
        Ok(()) => Outcome::Returned,
        Err(panic) => {
            let panic = panic_message(&*panic);
            tracing::error!("object.ref" = %key, panic, "handler panicked, event skipped");
            subscriber.metrics.panicked(&subscriber.name);
            Outcome::Panicked
        }
    };
    subscriber
        .metrics
        .handled(&subscriber.name, begun - since, took);
    subscriber.handled(initial, outcome);
}

/// Drops the handler before the news of it.
struct Served<K, H> {
    handler: H,
    farewell: Farewell<K>,
}

/// Tells, when dropped, that the handler is gone.
struct Farewell<K>(Arc<Subscriber<K>>);

impl<K> Drop for Farewell<K> {
    fn drop(&mut self) {
        // Closed already, unless a panic of the metrics is what ends the handler: then nobody would
        // ever empty its mailbox, and a full one would hold the informer up for good.
        self.0.shut();
        progress::end(&self.0.progress);
        self.0.gone.cancel();
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
