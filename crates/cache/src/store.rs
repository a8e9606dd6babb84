mod diff;
mod index;
mod state;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use index::{Index, IndexFailure};
pub use state::Snapshot;
pub use writer::StoreWriter;

use crate::decode::Codec;
use crate::object::{EncodedObject, Object};
use crate::observer::{Logged, Observer};
use crate::source::Undecodable;
use crate::uid::Uid;
use crate::version::ResourceVersion;
use state::State;
use writer::Books;

/// The objects of one kind, as the last delta left them: a cheap handle for readers.
///
/// # Guarantees
///
/// - Reads never wait for the writer, nor the writer for reads: every read works on a snapshot,
///   which is one atomic load away.
/// - What one snapshot says is consistent: objects, indexes and version belong together.
/// - [`Store::resource_version`] never goes back, as far as versions compare.
pub struct Store<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    /// What readers see.
    published: ArcSwap<State<K>>,
    /// What the writer, and those who add an index, work on.
    books: Mutex<Books<K>>,
    codec: Arc<Codec<K>>,
    observer: Arc<dyn Observer>,
    undecodable: AtomicU64,
    index_failures: AtomicU64,
    /// Counts publications; its sender's end tells waiters that the writer is gone.
    changes: watch::Sender<Progress>,
    config: StoreConfig,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Progress {
    publications: u64,
    closed: bool,
}

/// How a [`Store`] keeps its objects.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The form objects are kept in.
    pub retention: Retention,
    /// How much of decoded objects stays at hand, in bytes of their JSON: 1 MiB by default, which
    /// is some 5 to 10 MiB of memory. With `0`, every [`Object::get`] decodes.
    pub decoded_cache: usize,
    /// What to do with an update to the version that the store has already.
    pub same_version: SameVersion,
    /// Who is told of what goes wrong; logs by default.
    pub observer: Arc<dyn Observer>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            retention: Retention::Encoded,
            decoded_cache: 1 << 20,
            same_version: SameVersion::Suppress,
            observer: Arc::new(Logged),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("retention", &self.retention)
            .field("decoded_cache", &self.decoded_cache)
            .field("same_version", &self.same_version)
            .finish_non_exhaustive()
    }
}

/// The form in which a store keeps its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// As the JSON the server sent, without `managedFields`, decoded on demand.
    #[default]
    Encoded,
}

/// What to do with an update to the version that the store has already, as a relist brings it for
/// every object that did not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameVersion {
    /// Tell nobody; the object in the store stays.
    #[default]
    Suppress,
    /// Tell handlers by an [`Event::Updated`](crate::Event::Updated) of the object to itself.
    Deliver,
}

/// Why a store cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no index of this name.
    #[error("there is no index {0:?}")]
    UnknownIndex(String),
    /// There is an index of this name already.
    #[error("there is an index {0:?} already")]
    IndexExists(String),
    /// The version is not an integer, so nobody can tell whether the store has reached it.
    #[error("version {0:?} does not compare with those of the store")]
    Incomparable(ResourceVersion),
    /// The store's writer is gone; what it holds will not change any more.
    #[error("the store is no longer written")]
    Closed,
}

/// How often something went wrong since the store was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// Items of lists and watches that could not be read.
    pub undecodable: u64,
    /// Versions of objects that did not decode when asked for.
    pub decode: u64,
    /// Index functions that failed for a version of an object.
    pub index: u64,
}

impl<K: DeserializeOwned + 'static> Store<K> {
    /// An empty store: the one who writes it, and a handle for those who read.
    pub fn new(config: StoreConfig) -> (StoreWriter<K>, Self) {
        let observer = Arc::clone(&config.observer);
        let store = Self {
            shared: Arc::new(Shared {
                published: ArcSwap::default(),
                books: Mutex::default(),
                codec: Arc::new(Codec::new(config.decoded_cache, Arc::clone(&observer))),
                observer,
                undecodable: AtomicU64::new(0),
                index_failures: AtomicU64::new(0),
                changes: watch::Sender::default(),
                config,
            }),
        };
        (StoreWriter::new(store.clone()), store)
    }
}

impl<K> Store<K> {
    /// The store as it is now.
    pub fn snapshot(&self) -> Snapshot<K> {
        Snapshot::new(self.shared.published.load_full())
    }

    /// The object with this key.
    pub fn get(&self, key: impl AsRef<str>) -> Option<Object<K>> {
        self.shared
            .published
            .load()
            .objects
            .get(key.as_ref())
            .cloned()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.shared.published.load().objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects of a namespace, ordered by name.
    pub fn namespace(&self, namespace: &str) -> Vec<Object<K>> {
        self.snapshot().namespace(namespace).cloned().collect()
    }

    /// The objects that `owner` controls, ordered by key.
    pub fn owned_by(&self, owner: &Uid) -> Vec<Object<K>> {
        self.snapshot().owned_by(owner).cloned().collect()
    }

    /// The objects that have `value` in a user-defined index, ordered by key.
    ///
    /// # Errors
    ///
    /// When there is no index of that name.
    pub fn by_index(&self, index: &str, value: &str) -> Result<Vec<Object<K>>, StoreError> {
        let snapshot = self.snapshot();
        let objects = snapshot.by_index(index, value)?.cloned().collect();
        Ok(objects)
    }

    /// The version the store has reached, by objects, complete pictures or bookmarks; `None`
    /// before the first complete picture.
    pub fn resource_version(&self) -> Option<ResourceVersion> {
        self.shared.published.load().version.clone()
    }

    /// Waits until the store has reached `version`, so that a read sees a write that returned it.
    ///
    /// # Errors
    ///
    /// When the versions do not compare, or the writer is gone before.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn wait_until(&self, version: &ResourceVersion) -> Result<(), StoreError> {
        let mut changes = self.version_changes();
        loop {
            if let Some(reached) = self.resource_version() {
                if reached.reaches(version) {
                    return Ok(());
                }
                if reached.compare(version).is_none() {
                    return Err(StoreError::Incomparable(version.clone()));
                }
            }
            changes.changed().await?;
        }
    }

    /// Tells of changes from now on.
    pub fn version_changes(&self) -> VersionChanges<K> {
        VersionChanges {
            store: self.clone(),
            receiver: self.shared.changes.subscribe(),
        }
    }

    /// How often something went wrong so far.
    pub fn failures(&self) -> Failures {
        Failures {
            undecodable: self.shared.undecodable.load(Ordering::Relaxed),
            decode: self.shared.codec.failures(),
            index: self.shared.index_failures.load(Ordering::Relaxed),
        }
    }

    /// Gives an object its type and this store's cache of decoded ones; it is not put in.
    pub(crate) fn adopt(&self, encoded: EncodedObject) -> Object<K> {
        match self.shared.config.retention {
            Retention::Encoded => Object::new(encoded, Arc::clone(&self.shared.codec)),
        }
    }
}

impl<K: 'static> Store<K> {
    /// Adds a user-defined index, also to a store that has objects: they are in it on return.
    ///
    /// # Errors
    ///
    /// When there is an index of that name.
    pub fn add_index(&self, name: &str, index: Index<K>) -> Result<(), StoreError> {
        let mut books = self.shared.books.lock();
        let failures = books.add_index(name, index)?;
        self.shared.publish(&books);
        drop(books);
        self.shared.report(&failures);
        Ok(())
    }
}

impl<K> Shared<K> {
    fn publish(&self, books: &Books<K>) {
        self.published.store(Arc::new(books.state().clone()));
        self.changes
            .send_modify(|progress| progress.publications += 1);
    }

    fn report_undecodable(&self, items: &[Arc<Undecodable>]) {
        self.undecodable
            .fetch_add(items.len() as u64, Ordering::Relaxed);
        for item in items {
            self.observer.undecodable(item);
        }
    }

    fn report(&self, failures: &[IndexFailure]) {
        self.index_failures
            .fetch_add(failures.len() as u64, Ordering::Relaxed);
        for failure in failures {
            self.observer.index_failed(failure);
        }
    }
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("len", &self.len())
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}

/// Tells when a store has changed.
pub struct VersionChanges<K> {
    store: Store<K>,
    receiver: watch::Receiver<Progress>,
}

impl<K> VersionChanges<K> {
    /// Waits for a change since the last call; changes in between count as one.
    ///
    /// Returns the version the store has reached.
    ///
    /// # Errors
    ///
    /// When the store's writer is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: a change that was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Result<Option<ResourceVersion>, StoreError> {
        if self.receiver.borrow().closed {
            return Err(StoreError::Closed);
        }
        self.receiver
            .changed()
            .await
            .map_err(|_| StoreError::Closed)?;
        if self.receiver.borrow_and_update().closed {
            return Err(StoreError::Closed);
        }
        Ok(self.store.resource_version())
    }
}

impl<K> fmt::Debug for VersionChanges<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VersionChanges").field(&self.store).finish()
    }
}
