mod log;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::delta::Delta;
use crate::event::Initial;
use crate::version::ResourceVersion;
use log::Log;

/// The ordered log between one reflector and one store: bounded, closable, popped in batches.
///
/// A cheap handle; clones share the log. The reflector pushes, one consumer pops.
///
/// # Guarantees
///
/// - **Order.** Deltas come out in the order in which they went in, across all keys.
///   [`Compression::PerKey`] gives that up for one case, written down there.
/// - **Atomicity.** [`Delta::Replaced`] and [`Delta::Sync`] are one entry each, and come out alone.
/// - **Batches.** Up to [`FifoConfig::batch`] deltas come out together. A batch holds no key twice
///   and never goes on past the first complete picture.
/// - **Bound.** At most [`FifoConfig::capacity`] deltas wait; [`DeltaFifo::push`] waits for room,
///   so a slow consumer slows the reflector down instead of filling memory. A complete picture
///   counts as one.
/// - **Synced means processed.** [`DeltaFifo::has_synced`] turns true when the batch that holds the
///   first complete picture is dropped, not when it is popped.
/// - **Close.** After [`DeltaFifo::close`] nothing goes in, what is in still comes out, then
///   [`DeltaFifo::pop_batch`] says `None`.
///
/// Answers to client-go's `RealFIFO` in its atomic mode, with the bound and the compression added.
pub struct DeltaFifo<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    log: Mutex<Log<K>>,
    /// Told when there is something to pop, or nothing more will come.
    readable: Notify,
    /// Told when there is room, or none is needed any more.
    writable: Notify,
    synced: watch::Sender<Synced>,
    config: FifoConfig,
}

/// Whether the first complete picture has been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Synced {
    NotYet,
    Yes,
    /// The log has ended without one.
    Never,
}

/// How a [`DeltaFifo`] bounds and batches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FifoConfig {
    /// How many deltas may wait, 2,000 by default: two full batches.
    pub capacity: NonZeroUsize,
    /// How many deltas a batch holds at most, 1,000 by default.
    pub batch: NonZeroUsize,
    /// Whether deltas of one key are merged while they wait; by default they are not.
    pub compression: Compression,
}

impl Default for FifoConfig {
    fn default() -> Self {
        Self {
            capacity: const { NonZeroUsize::new(2000).expect("2000 is not zero") },
            batch: const { NonZeroUsize::new(1000).expect("1000 is not zero") },
            compression: Compression::None,
        }
    }
}

/// Whether deltas of one key are merged while they wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Every delta is delivered.
    #[default]
    None,
    /// A delta joins the one of the same incarnation that waits already, in that one's place: an
    /// update takes the place of an addition or update (which stays what it was), and so does a
    /// deletion.
    ///
    /// The log then holds at most a few entries per key, and a key keeps its place in the queue.
    /// What is given up is order across keys: a merged change overtakes changes of other keys
    /// that came before it. Store versions stay honest: the store reaches the version of a merged
    /// change only when everything before it in the source's order has been applied.
    PerKey,
}

/// The log is closed: its consumer is gone or is about to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is closed")]
pub struct Closed;

impl<K> DeltaFifo<K> {
    /// An empty, open log.
    pub fn new(config: FifoConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                log: Mutex::new(Log::new(config.compression)),
                readable: Notify::new(),
                writable: Notify::new(),
                synced: watch::Sender::new(Synced::NotYet),
                config,
            }),
        }
    }

    /// Appends a delta, once there is room.
    ///
    /// # Errors
    ///
    /// When the log is closed, also while waiting.
    ///
    /// # Cancel safety
    ///
    /// A push that is dropped has appended nothing.
    pub async fn push(&self, delta: Delta<K>) -> Result<(), Closed> {
        let shared = &*self.shared;
        loop {
            // Registered before looking, so that room made in between is noticed.
            let writable = shared.writable.notified();
            {
                let mut log = shared.log.lock();
                if log.is_closed() {
                    return Err(Closed);
                }
                if log.len() < shared.config.capacity.get() || log.would_merge(&delta) {
                    log.push(delta);
                    shared.settle(&log);
                    drop(log);
                    shared.readable.notify_one();
                    return Ok(());
                }
            }
            writable.await;
        }
    }

    /// The next batch; `None` once the log is closed and empty.
    ///
    /// # Assumptions
    ///
    /// There is one consumer, and it drops a batch before it asks for the next.
    ///
    /// # Cancel safety
    ///
    /// A pop that is dropped has taken nothing.
    pub async fn pop_batch(&self) -> Option<Batch<K>> {
        let shared = &self.shared;
        loop {
            let readable = shared.readable.notified();
            {
                let mut log = shared.log.lock();
                if let Some((deltas, version, initial)) = log.pop(shared.config.batch.get()) {
                    shared.settle(&log);
                    drop(log);
                    shared.writable.notify_waiters();
                    return Some(Batch {
                        deltas,
                        version,
                        initial,
                        shared: Arc::clone(shared),
                    });
                }
                if log.is_closed() {
                    drop(log);
                    // Should there be a second consumer after all, it learns of the end too.
                    shared.readable.notify_one();
                    return None;
                }
            }
            readable.await;
        }
    }

    /// Lets nothing in any more. Idempotent.
    pub fn close(&self) {
        {
            let mut log = self.shared.log.lock();
            log.close();
            self.shared.settle(&log);
        }
        self.shared.readable.notify_one();
        self.shared.writable.notify_waiters();
    }

    /// Whether nothing is let in any more.
    pub fn is_closed(&self) -> bool {
        self.shared.log.lock().is_closed()
    }

    /// How many deltas wait.
    pub fn len(&self) -> usize {
        self.shared.log.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first complete picture has been processed.
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow() == Synced::Yes
    }

    /// Waits until the first complete picture has been processed.
    ///
    /// # Errors
    ///
    /// When the log is closed and has let out all it had, and no complete picture was among that.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn synced(&self) -> Result<(), Closed> {
        let mut synced = self.shared.synced.subscribe();
        let known = synced.wait_for(|synced| *synced != Synced::NotYet).await;
        // The sender lives as long as `self`.
        match known.map(|synced| *synced) {
            Ok(Synced::Yes) => Ok(()),
            Ok(Synced::NotYet | Synced::Never) | Err(_) => Err(Closed),
        }
    }
}

impl<K> Shared<K> {
    /// Publishes whether the log has synced.
    fn settle(&self, log: &Log<K>) {
        let synced = if log.has_synced() {
            Synced::Yes
        } else if log.has_ended() {
            Synced::Never
        } else {
            return;
        };
        self.synced.send_if_modified(|known| {
            let is_news = *known == Synced::NotYet;
            if is_news {
                *known = synced;
            }
            is_news
        });
    }
}

impl<K> Clone for DeltaFifo<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> fmt::Debug for DeltaFifo<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaFifo")
            .field("len", &self.len())
            .field("has_synced", &self.has_synced())
            .finish_non_exhaustive()
    }
}

/// Deltas that came out together; dropping it says that they are processed.
pub struct Batch<K> {
    deltas: Vec<Delta<K>>,
    version: Option<ResourceVersion>,
    initial: Initial,
    shared: Arc<Shared<K>>,
}

impl<K> Batch<K> {
    /// The deltas, in order.
    pub fn deltas(&self) -> &[Delta<K>] {
        &self.deltas
    }

    /// The version that a store has reached once it has applied the batch, if the batch brings one.
    pub const fn version(&self) -> Option<&ResourceVersion> {
        self.version.as_ref()
    }

    /// Whether the batch belongs to the first complete picture.
    pub const fn initial(&self) -> Initial {
        self.initial
    }

    /// Takes the deltas out; the batch is processed when it is dropped all the same.
    pub fn drain(&mut self) -> impl Iterator<Item = Delta<K>> {
        self.deltas.drain(..)
    }
}

impl<K> Drop for Batch<K> {
    fn drop(&mut self) {
        self.deltas.clear();
        let mut log = self.shared.log.lock();
        log.processed(self.initial, std::mem::take(&mut self.deltas));
        self.shared.settle(&log);
    }
}

impl<K> fmt::Debug for Batch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("deltas", &self.deltas)
            .field("version", &self.version)
            .field("initial", &self.initial)
            .finish_non_exhaustive()
    }
}
