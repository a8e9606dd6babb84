//! Which of a controller's own writes its stores have yet to show.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use hashbrown::HashMap;
use kubewright_cache::{ResourceVersion, Store, StoreError, Uid, VersionChanges};
use kubewright_informer::ObjectKey;
use parking_lot::{Mutex, RwLock};

/// Remembers what a controller wrote, until the stores it reads from have seen it.
///
/// A reconcile that reads a store from before its own last writes repeats them: it creates the pods
/// again that it has just created.
/// A controller that is given an `OwnWrites` in
/// [`ControllerConfig::own_writes`](crate::ControllerConfig::own_writes) puts such a reconcile off
/// until the stores have caught up.
/// That is no error: it takes no attempt, no token and no worker.
///
/// A cheap handle. Reconcilers tell it of their writes through the [`TrackedStore`] of the store
/// that will show them.
///
/// # Guarantees
///
/// - A key is behind only while a store's version is older than that of a remembered write.
///   Versions that do not compare, and stores that show no version yet, hold nothing up.
/// - Memory: one record per key with writes that the stores have not shown since it was last
///   looked at.
///
/// # Assumptions
///
/// - The versions of a store and of the writes recorded with its [`TrackedStore`] come from one
///   server and one resource.
/// - Deletions return no version that could be waited for; see
///   [`UidTrackingExpectations`](crate::UidTrackingExpectations).
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_cache::{ObjectKey, ResourceVersion, Store, Uid};
/// use kubewright_controller::{ControllerConfig, OwnWrites};
///
/// # fn f(pods: &Store<Pod>) {
/// let own_writes = OwnWrites::new();
/// let own_pods = own_writes.track("pods", pods);
/// let mut config = ControllerConfig::default();
/// config.own_writes = Some(own_writes.clone());
///
/// // In the reconciler, after each write:
/// let web = ObjectKey::namespaced("default", "web");
/// own_pods.wrote(&web, &Uid::from("the web's uid"), &ResourceVersion::from(42));
/// # }
/// ```
///
/// Answers to the consistency store of kube-controller-manager 1.36, where a stale key is requeued
/// with an error.
#[derive(Clone, Default)]
pub struct OwnWrites {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    records: Mutex<HashMap<ObjectKey, Record>>,
    stores: RwLock<Vec<Arc<dyn Watched>>>,
}

/// The newest write per store on behalf of one incarnation of an object.
struct Record {
    uid: Uid,
    versions: Vec<(usize, ResourceVersion)>,
}

/// A store that will show writes, and the place to tell of them.
///
/// A cheap handle, made by [`OwnWrites::track`].
#[derive(Clone)]
pub struct TrackedStore {
    shared: Arc<Shared>,
    nth: usize,
}

/// How far a store lags behind a controller's own writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behind {
    /// The store's name.
    pub store: Arc<str>,
    /// The version of the write.
    pub wrote: ResourceVersion,
    /// The version that the store shows.
    pub read: ResourceVersion,
    pub(crate) nth: usize,
}

impl OwnWrites {
    /// Nothing written, no store tracked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tracks a store, under the name that logs and metrics give it.
    ///
    /// A controller wakes keys that were put off by the stores that are tracked when it starts.
    pub fn track<K: Send + Sync + 'static>(&self, name: &str, store: &Store<K>) -> TrackedStore {
        let mut stores = self.shared.stores.write();
        stores.push(Arc::new(Named {
            name: name.into(),
            store: store.clone(),
        }));
        TrackedStore {
            shared: Arc::clone(&self.shared),
            nth: stores.len() - 1,
        }
    }

    /// Which store has yet to show a write on behalf of `owner`, if any.
    ///
    /// Once all stores have, the record is dropped.
    pub fn behind(&self, owner: &ObjectKey) -> Option<Behind> {
        let mut records = self.shared.records.lock();
        let record = records.get(owner)?;
        let stores = self.shared.stores.read();
        let behind = record.versions.iter().find_map(|(nth, wrote)| {
            let store = &stores[*nth];
            let read = store.version()?;
            let is_behind = wrote.compare(&read).is_some_and(std::cmp::Ordering::is_gt);
            is_behind.then(|| Behind {
                store: Arc::clone(store.name()),
                wrote: wrote.clone(),
                read,
                nth: *nth,
            })
        });
        if behind.is_none() {
            records.remove(owner);
        }
        behind
    }

    /// Forgets the writes on behalf of `owner`, if they were on behalf of this incarnation.
    ///
    /// To be called when the owner is gone; `None` stands for whichever incarnation.
    pub fn clear(&self, owner: &ObjectKey, incarnation: Option<&Uid>) {
        let mut records = self.shared.records.lock();
        let is_meant = |record: &Record| incarnation.is_none_or(|uid| *uid == record.uid);
        if records.get(owner).is_some_and(is_meant) {
            records.remove(owner);
        }
    }

    /// For how many keys writes are remembered.
    pub fn len(&self) -> usize {
        self.shared.records.lock().len()
    }

    /// Whether no write is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn stores(&self) -> Vec<Arc<dyn Watched>> {
        self.shared.stores.read().clone()
    }
}

impl TrackedStore {
    /// Tells of a write on behalf of `owner`, and of the version that the server gave it.
    ///
    /// Of several versions the newest counts; of one owner's incarnations, the last one told of.
    pub fn wrote(&self, owner: &ObjectKey, incarnation: &Uid, version: &ResourceVersion) {
        let mut records = self.shared.records.lock();
        let fresh = || Record {
            uid: incarnation.clone(),
            versions: Vec::with_capacity(1),
        };
        let record = records.entry_ref(owner).or_insert_with(fresh);
        if record.uid != *incarnation {
            *record = fresh();
        }
        match record.versions.iter_mut().find(|(nth, _)| *nth == self.nth) {
            None => record.versions.push((self.nth, version.clone())),
            Some((_, newest)) if newest.reaches(version) => {}
            Some((_, newest)) => *newest = version.clone(),
        }
    }
}

impl fmt::Debug for OwnWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stores = self.stores();
        let names: Vec<_> = stores.iter().map(|store| store.name()).collect();
        f.debug_struct("OwnWrites")
            .field("stores", &names)
            .field("keys", &self.len())
            .finish()
    }
}

impl fmt::Debug for TrackedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stores = self.shared.stores.read();
        f.debug_tuple("TrackedStore")
            .field(stores[self.nth].name())
            .finish()
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store, wrote, read, ..
        } = self;
        write!(
            f,
            "{store} are at version {read}, before the own write {wrote}"
        )
    }
}

/// A store without its type.
pub(crate) trait Watched: Send + Sync {
    fn name(&self) -> &Arc<str>;
    /// The version that the store shows.
    fn version(&self) -> Option<ResourceVersion>;
    /// Tells of changes of the version from now on.
    fn changes(&self) -> Box<dyn Changes>;
}

pub(crate) trait Changes: Send {
    /// Waits for the next change.
    fn changed(&mut self) -> BoxFuture<'_, Result<Option<ResourceVersion>, StoreError>>;
}

struct Named<K: 'static> {
    name: Arc<str>,
    store: Store<K>,
}

impl<K: Send + Sync + 'static> Watched for Named<K> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn version(&self) -> Option<ResourceVersion> {
        self.store.resource_version()
    }

    fn changes(&self) -> Box<dyn Changes> {
        Box::new(self.store.version_changes())
    }
}

impl<K: Send + Sync + 'static> Changes for VersionChanges<K> {
    fn changed(&mut self) -> BoxFuture<'_, Result<Option<ResourceVersion>, StoreError>> {
        Box::pin(self.changed())
    }
}
