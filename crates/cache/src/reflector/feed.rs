use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube_runtime::watcher;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::gather::Gather;
use super::{Closer, delta};
use crate::fifo::{Closed, DeltaFifo};
use crate::observer::{Logged, Observer, Operation};
use crate::scan::{self, ScanError};
use crate::source::{EventKind, SourceError, Undecodable, WatchEvent};
use crate::store::Store;
use crate::version::ResourceVersion;

/// Fills a log from a stream of kube-runtime's watcher events, in the place of a reflector.
///
/// For programs that have such a stream already. What the stream hides stays hidden:
///
/// - The versions of lists and bookmarks do not show, so the store's version is that of the newest
///   object, and may lag behind what the source has told.
/// - Objects come typed, so each is encoded once more, and one that does not decode never gets here.
/// - When to list and how long to wait between failures is the stream's business.
///
/// # Example
///
/// ```no_run
/// use futures::StreamExt;
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube_runtime::{WatchStreamExt, watcher};
/// use kubewright_cache::{DeltaFifo, FifoConfig, Store, StoreConfig, WatcherFeed};
///
/// # async fn example(api: kube_client::Api<ConfigMap>, token: tokio_util::sync::CancellationToken) {
/// let (writer, store) = Store::<ConfigMap>::new(StoreConfig::default());
/// let fifo = DeltaFifo::new(FifoConfig::default());
/// let events = watcher(api, watcher::Config::default()).default_backoff().boxed();
/// WatcherFeed::new(events, store, fifo).run(token).await;
/// # drop(writer);
/// # }
/// ```
pub struct WatcherFeed<S, K> {
    events: S,
    store: Store<K>,
    fifo: DeltaFifo<K>,
    observer: Arc<dyn Observer>,
}

impl<S, K> WatcherFeed<S, K>
where
    S: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + Unpin,
    K: Serialize + Send + Sync + 'static,
{
    /// Fills `fifo`, whose consumer writes `store`, from `events`.
    pub fn new(events: S, store: Store<K>, fifo: DeltaFifo<K>) -> Self {
        Self {
            events,
            store,
            fifo,
            observer: Arc::new(Logged),
        }
    }

    /// Tells `observer` of the stream's errors; they are logged by default.
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Runs until the token is cancelled, the stream ends or the log is closed, and closes the log.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once, and closes the log too.
    pub async fn run(mut self, token: CancellationToken) {
        let fifo = self.fifo.clone();
        let _closer = Closer(&fifo);
        token.run_until_cancelled(self.drive()).await;
    }

    async fn drive(&mut self) -> Result<(), Closed> {
        let mut gather = None;
        while let Some(event) = self.events.next().await {
            let picture = || Gather::new(self.store.clone());
            let delta = match event {
                Ok(watcher::Event::Init) => {
                    gather = Some(picture());
                    continue;
                }
                Ok(watcher::Event::InitApply(object)) => {
                    let event = encoded(EventKind::Added, &object);
                    gather.get_or_insert_with(picture).event(event);
                    continue;
                }
                Ok(watcher::Event::InitDone) => {
                    let picture = gather.take().unwrap_or_else(picture);
                    let version = picture.newest();
                    picture.finish(version)
                }
                Ok(watcher::Event::Apply(object)) => {
                    delta(&self.store, encoded(EventKind::Modified, &object))
                }
                Ok(watcher::Event::Delete(object)) => {
                    delta(&self.store, encoded(EventKind::Deleted, &object))
                }
                Err(error) => {
                    let error = SourceError::Transport(error.into());
                    self.observer.source_failed(Operation::Watch, &error);
                    continue;
                }
            };
            self.fifo.push(delta).await?;
        }
        Ok(())
    }
}

impl<K> Gather<K> {
    /// The newest version of its objects; empty if there is none that compares.
    fn newest(&self) -> ResourceVersion {
        let newest = self
            .versions()
            .filter(|version| version.compare(version).is_some())
            .max_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
        newest.cloned().unwrap_or_default()
    }
}

fn encoded<K: Serialize>(kind: EventKind, object: &K) -> WatchEvent {
    let unreadable = |error| {
        WatchEvent::Undecodable(Undecodable {
            deleted: kind == EventKind::Deleted,
            ..Undecodable::unreadable(error)
        })
    };
    let Ok(json) = serde_json::to_vec(object) else {
        return unreadable(ScanError::invalid(0, "an object that does not serialise"));
    };
    match scan::object(&json) {
        Ok(object) => WatchEvent::scanned(kind, &object),
        Err(error) => unreadable(error),
    }
}

impl<S, K> fmt::Debug for WatcherFeed<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatcherFeed").finish_non_exhaustive()
    }
}
