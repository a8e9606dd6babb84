mod backoff;
mod config;
#[cfg(feature = "kube-runtime")]
mod feed;
mod gather;
mod machine;

use std::fmt;
use std::pin::pin;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub use config::{BackoffConfig, InitialList, InvalidReflectorConfig, ReflectorConfig};
#[cfg(feature = "kube-runtime")]
pub use feed::WatcherFeed;

use crate::delta::Delta;
use crate::fifo::{Closed, DeltaFifo};
use crate::observer::Operation;
use crate::source::{
    InitialEvents, ListOptions, ListerWatcher, Page, SourceError, WatchEvent, WatchOptions,
};
use crate::store::Store;
use gather::Gather;
use machine::{Failure, Input, Kind, Machine, Step};

/// Keeps a log up to date with a source: obtains a complete picture, then watches, and does so
/// again whenever a watch cannot go on.
///
/// # Guarantees
///
/// - **Never back in time.** A new list asks for nothing older than the version the log is at. Only
///   when the server does not have that version (410, or "too large") is the most recent state
///   asked for.
/// - **One bad item spoils nothing.** What cannot be read goes into the log as such, the list or
///   watch goes on, and the version moves on with it.
/// - **A server in trouble is left alone.** Failures are followed by growing waits, see
///   [`BackoffConfig`]. A busy server (429), one that cannot be reached, and a watch that broke
///   are no reason to list anew: the watch is opened again where it left off.
/// - **A dead connection is noticed** on this side of it, see [`ReflectorConfig::idle_timeout`] and
///   [`ReflectorConfig::response_timeout`].
/// - **Every failure is told** to the [`Observer`](crate::Observer), and none ends the reflector.
///
/// Answers to client-go's `Reflector`.
pub struct Reflector<L, K> {
    source: L,
    store: Store<K>,
    fifo: DeltaFifo<K>,
    config: ReflectorConfig,
}

impl<L: ListerWatcher, K: Send + Sync + 'static> Reflector<L, K> {
    /// A reflector that fills `fifo` from `source`.
    ///
    /// It reads `store`, which the log's consumer writes, to hand on what is there already
    /// instead of keeping it twice during a relist.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself.
    pub fn new(
        source: L,
        store: Store<K>,
        fifo: DeltaFifo<K>,
        config: ReflectorConfig,
    ) -> Result<Self, InvalidReflectorConfig> {
        Ok(Self {
            source,
            store,
            fifo,
            config: config.validated()?,
        })
    }

    /// Runs until the token is cancelled or the log is closed, and closes the log.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once, wherever it is, and closes the log too.
    pub async fn run(self, token: CancellationToken) {
        let _closer = Closer(&self.fifo);
        token.run_until_cancelled(self.drive()).await;
    }

    /// Does what the machine says, until the log is closed.
    async fn drive(&self) -> Closed {
        let mut machine = Machine::new(self.config.clone());
        let mut hand = Hand {
            reflector: self,
            gather: None,
            watch: None,
        };
        let mut step = machine.start(Instant::now());
        loop {
            step = match hand.perform(step, machine.is_streaming()).await {
                Ok(input) => machine.on_event(Instant::now(), input),
                Err(closed) => return closed,
            };
        }
    }
}

/// What the steps of a machine are performed on.
struct Hand<'a, L: ListerWatcher, K> {
    reflector: &'a Reflector<L, K>,
    /// The complete picture that is being obtained.
    gather: Option<Gather<K>>,
    /// The open watch.
    watch: Option<L::Watch>,
}

impl<L: ListerWatcher, K: Send + Sync + 'static> Hand<'_, L, K> {
    /// Performs a step; `streaming` says whether events are part of a complete picture.
    async fn perform(&mut self, step: Step, streaming: bool) -> Result<Input, Closed> {
        let Reflector { fifo, config, .. } = self.reflector;
        Ok(match step {
            Step::List(options) => match self.list(&options).await {
                Ok(page) => Input::Page(page),
                Err(error) => {
                    config.observer.source_failed(Operation::List, &error);
                    Input::ListFailed(error)
                }
            },
            Step::Watch(options) => match self.open(&options).await {
                Ok(watch) => {
                    self.watch = Some(watch);
                    Input::Opened
                }
                Err(error) => {
                    let operation = match options.initial_events {
                        InitialEvents::Sent => Operation::StreamingList,
                        InitialEvents::Omitted => Operation::OpenWatch,
                    };
                    config.observer.source_failed(operation, &error);
                    Input::OpenFailed(error)
                }
            },
            Step::Read(until) => self.read(until, streaming).await?,
            Step::Commit(version) => {
                let gather = self.gather.take().expect("a picture was gathered");
                fifo.push(gather.finish(version)).await?;
                Input::Committed
            }
            Step::Resync => {
                fifo.push(Delta::Sync).await?;
                Input::Resynced
            }
            Step::GiveUp(failure) => self.watch_failed(failure.into(), streaming),
            Step::Wait(delay) => {
                // What was gathered before a failure is not worth its memory meanwhile.
                self.watch = None;
                self.gather = None;
                sleep(delay).await;
                Input::TimeIsUp
            }
        })
    }

    /// Fetches a page, for as long as it makes progress.
    async fn list(&mut self, options: &ListOptions) -> Result<Page, SourceError> {
        let Reflector { source, config, .. } = self.reflector;
        self.watch = None;
        if options.continue_token.is_none() {
            self.gather = None;
        }
        let gather = self
            .gather
            .get_or_insert_with(|| Gather::new(self.reflector.store.clone()));
        let progress = gather.progress();
        let mut seen = progress.load(Ordering::Relaxed);
        let mut page = pin!(source.list(options, gather));
        loop {
            if let Ok(page) = timeout(config.response_timeout, &mut page).await {
                return page;
            }
            let now = progress.load(Ordering::Relaxed);
            if now == seen {
                return Err(SourceError::Idle(config.response_timeout));
            }
            seen = now;
        }
    }

    async fn open(&mut self, options: &WatchOptions) -> Result<L::Watch, SourceError> {
        let Reflector { source, config, .. } = self.reflector;
        self.watch = None;
        self.gather = match options.initial_events {
            InitialEvents::Sent => Some(Gather::new(self.reflector.store.clone())),
            InitialEvents::Omitted => None,
        };
        timeout(config.response_timeout, source.watch(options))
            .await
            .unwrap_or(Err(SourceError::Idle(config.response_timeout)))
    }

    /// Reads an event, and gathers it or hands it on.
    async fn read(&mut self, until: Instant, streaming: bool) -> Result<Input, Closed> {
        let Reflector { store, fifo, .. } = self.reflector;
        let watch = self.watch.as_mut().expect("an open watch is read");
        let event = match timeout_at(until, watch.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Ok(self.watch_failed(error, streaming)),
            Ok(None) => return Ok(Input::Ended),
            Err(_) => return Ok(Input::TimeIsUp),
        };
        let (kind, version) = summary(&event);
        match &mut self.gather {
            Some(gather) => gather.event(event),
            None => fifo.push(delta(store, event)).await?,
        }
        Ok(Input::Event(kind, version))
    }

    fn watch_failed(&mut self, error: SourceError, streaming: bool) -> Input {
        self.watch = None;
        let operation = if streaming {
            Operation::StreamingList
        } else {
            Operation::Watch
        };
        let observer = &self.reflector.config.observer;
        observer.source_failed(operation, &error);
        Input::WatchFailed(error)
    }
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Idle(silence) => Self::Idle(silence),
            Failure::Short => Self::ShortWatch,
            Failure::Incomplete => Self::Incomplete,
        }
    }
}

fn delta<K>(store: &Store<K>, event: WatchEvent) -> Delta<K> {
    match event {
        WatchEvent::Added(object) => Delta::Added(store.adopt(object)),
        WatchEvent::Modified(object) => Delta::Updated(store.adopt(object)),
        WatchEvent::Deleted(object) => Delta::Deleted(store.adopt(object)),
        WatchEvent::Undecodable(item) => Delta::Undecodable(item),
        WatchEvent::Bookmark {
            resource_version, ..
        } => Delta::Bookmark {
            version: resource_version,
        },
    }
}

impl<L, K> fmt::Debug for Reflector<L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflector")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Closes a log when its only writer ends, however that comes about.
struct Closer<'a, K>(&'a DeltaFifo<K>);

impl<K> Drop for Closer<'_, K> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the machine needs to know of an event.
fn summary(event: &WatchEvent) -> (Kind, Option<crate::ResourceVersion>) {
    let (kind, version) = match event {
        WatchEvent::Added(object) => (Kind::Added, Some(object.meta().resource_version())),
        WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
            (Kind::Other, Some(object.meta().resource_version()))
        }
        WatchEvent::Bookmark {
            resource_version,
            ends_initial_events: false,
        } => (Kind::Bookmark, Some(resource_version)),
        WatchEvent::Bookmark {
            resource_version, ..
        } => (Kind::InitialEventsEnd, Some(resource_version)),
        WatchEvent::Undecodable(item) => match &item.resource_version {
            Some(version) => (Kind::Other, Some(version)),
            None => (Kind::Noise, None),
        },
    };
    let version = version.filter(|version| version.is_concrete());
    (kind, version.cloned())
}
