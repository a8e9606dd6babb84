//! The objects of all resources: one writer, one counter of versions, and as much history as is remembered.
//!
//! # Guarantees
//!
//! - Every committed change takes the next number of one counter that all resources share.
//! - A [`Snapshot`] holds exactly the changes up to its revision. Readers hold no lock while they use it.
//! - A [`Cursor`] reads the changes of one resource, each once, in order. It costs the writer nothing
//!   but a wake-up, however slow its reader is.
//! - History has one bound for all that asks for it: a watch from a revision and a list of a
//!   revision are both refused once the log does not reach back to it.
//! - Objects are kept as JSON. Decoded forms are kept of those that were in use lately.

mod cursor;
mod decoded;
mod key;
mod log;
mod snapshot;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rpds::RedBlackTreeMapSync;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use self::cursor::Cursor;
use self::decoded::Decoded;
pub(crate) use self::key::Key;
use self::log::Log;
pub(crate) use self::log::{Bounds, Change, Event, TooOld};
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::stored::{Head, Stored};
use crate::resource::StorageId;

/// The store. Shared by `Arc`.
#[derive(Debug)]
pub(crate) struct Store {
    /// Held while a transaction runs: there is one writer at a time.
    writer: Mutex<()>,
    /// The revision of the newest change; all changes up to it can be read.
    ///
    /// Written under `writer` and under the lock of the shard that changed.
    revision: AtomicU64,
    shards: RwLock<HashMap<StorageId, Arc<Shard>>>,
    decoded: Arc<Decoded>,
    /// How much of each resource's past is remembered.
    history: Bounds,
    /// Up to where history was forgotten on demand.
    compacted: AtomicU64,
    /// The revision of the newest change; wakes those who follow all resources.
    head: watch::Sender<u64>,
}

/// The objects of one resource.
#[derive(Debug)]
struct Shard {
    state: RwLock<State>,
    /// The revision of the newest change; wakes the cursors.
    head: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    objects: RedBlackTreeMapSync<Key, Arc<Stored>>,
    log: Log,
    /// Whether the resource is served no more.
    retired: bool,
}

impl Shard {
    /// A resource without objects, and without history up to `compacted`.
    fn new(history: Bounds, compacted: u64) -> Self {
        Self {
            state: RwLock::new(State {
                objects: RedBlackTreeMapSync::new_sync(),
                log: Log::new(history, compacted),
                retired: false,
            }),
            head: watch::Sender::new(0),
        }
    }
}

/// The right to write, while the writer's lock is held.
///
/// Each change is visible at once and stays, also if the transaction fails later: check first, write then.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    store: &'a Store,
    touched: Vec<(Arc<Shard>, u64)>,
}

impl Store {
    /// An empty store that remembers the newest changes of each resource within `history`.
    pub(crate) fn new(history: Bounds) -> Self {
        Self::with(history, Decoded::new())
    }

    fn with(history: Bounds, decoded: Decoded) -> Self {
        Self {
            decoded: Arc::new(decoded),
            writer: Mutex::new(()),
            // Like etcd's: no object and no list ever has version 0, which means "any" in requests.
            revision: AtomicU64::new(1),
            shards: RwLock::default(),
            history,
            compacted: AtomicU64::new(0),
            head: watch::Sender::new(0),
        }
    }

    /// The revision of the newest change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, id: &StorageId, key: &Key) -> Option<Arc<Stored>> {
        self.shard(id).state.read().objects.get(key).cloned()
    }

    /// The objects as they are now.
    pub(crate) fn snapshot(&self, id: &StorageId) -> Snapshot {
        let shard = self.shard(id);
        let state = shard.state.read();
        // No change of this shard can be under way: its writer would hold the lock.
        Snapshot {
            revision: self.revision(),
            objects: state.objects.clone(),
        }
    }

    /// The objects as they were at `revision`, which must have been reached.
    ///
    /// # Errors
    ///
    /// If the log does not reach back to it.
    pub(crate) fn snapshot_at(&self, id: &StorageId, revision: u64) -> Result<Snapshot, TooOld> {
        let shard = self.shard(id);
        let (mut snapshot, newer) = {
            let state = shard.state.read();
            state.log.check_start(revision)?;
            let newer: Vec<_> = state.log.after(revision)?.cloned().collect();
            let objects = state.objects.clone();
            (Snapshot { revision, objects }, newer)
        };
        for event in newer.iter().rev() {
            snapshot.undo(event);
        }
        Ok(snapshot)
    }

    /// The objects as they are now, and all changes from then on.
    pub(crate) fn follow(self: &Arc<Self>, id: &StorageId) -> (Snapshot, Cursor) {
        let shard = self.shard(id);
        let state = shard.state.read();
        let snapshot = Snapshot {
            revision: self.revision(),
            objects: state.objects.clone(),
        };
        drop(state);
        let cursor = Cursor::new(Arc::clone(self), shard, snapshot.revision);
        (snapshot, cursor)
    }

    /// Reads the changes after `revision`, which may lie in the future.
    ///
    /// # Errors
    ///
    /// If the log does not reach back to it.
    pub(crate) fn watch(self: &Arc<Self>, id: &StorageId, revision: u64) -> Result<Cursor, TooOld> {
        let shard = self.shard(id);
        shard.state.read().log.check_start(revision)?;
        Ok(Cursor::new(Arc::clone(self), shard, revision))
    }

    /// Forgets all history up to `revision`, but not the objects as they are now.
    ///
    /// Cursors that have read up to there go on; watches and lists of older revisions are refused.
    pub(crate) fn compact(&self, revision: u64) {
        let _writer = self.writer.lock();
        let revision = revision.min(self.revision());
        self.compacted.fetch_max(revision, Ordering::Relaxed);
        for shard in self.shards.read().values() {
            shard.state.write().log.compact(revision);
        }
    }

    /// Forgets a resource: its objects are gone, and cursors of it come to an end.
    ///
    /// Should a resource of that name come again, its history begins then.
    pub(crate) fn retire(&self, id: &StorageId) {
        let _writer = self.writer.lock();
        let fresh = Arc::new(Shard::new(self.history, self.revision()));
        let retired = self.shards.write().insert(id.clone(), fresh);
        if let Some(shard) = retired {
            shard.state.write().retired = true;
            shard.head.send_modify(|head| *head = u64::MAX);
        }
    }

    /// Runs `work` as the only writer. Keep it short: everything that can be done before is better done before.
    pub(crate) fn commit<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let mut transaction = Transaction {
            store: self,
            touched: Vec::new(),
        };
        let result = {
            let _writer = self.writer.lock();
            work(&mut transaction)
        };
        let advance = |head: &watch::Sender<u64>, revision: u64| {
            head.send_if_modified(|head| {
                let newer = *head < revision;
                *head = revision.max(*head);
                newer
            });
        };
        for (shard, revision) in transaction.touched {
            advance(&shard.head, revision);
            advance(&self.head, revision);
        }
        result
    }

    /// The revision of the newest change of any resource, as it moves on.
    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn shard(&self, id: &StorageId) -> Arc<Shard> {
        if let Some(shard) = self.shards.read().get(id) {
            return Arc::clone(shard);
        }
        let mut shards = self.shards.write();
        Arc::clone(shards.entry(id.clone()).or_insert_with(|| {
            let compacted = self.compacted.load(Ordering::Relaxed);
            Arc::new(Shard::new(self.history, compacted))
        }))
    }
}

impl Transaction<'_> {
    pub(crate) fn get(&self, id: &StorageId, key: &Key) -> Option<Arc<Stored>> {
        self.store.get(id, key)
    }

    /// All objects of a resource.
    pub(crate) fn snapshot(&self, id: &StorageId) -> Snapshot {
        self.store.snapshot(id)
    }

    /// Writes an object, new or changed, and sets its `metadata.resourceVersion`.
    pub(crate) fn put(&mut self, id: &StorageId, key: Key, mut value: Value) -> Arc<Stored> {
        let shard = self.store.shard(id);
        let revision = self.store.revision() + 1;
        value["metadata"]["resourceVersion"] = revision.to_string().into();
        let after = Arc::new(Stored::committed(
            key.clone(),
            revision,
            value,
            &self.store.decoded,
        ));
        let mut state = shard.state.write();
        let change = match state.objects.get(&key) {
            None => Change::Added(Arc::clone(&after)),
            Some(before) => Change::Modified {
                before: Arc::clone(before),
                after: Arc::clone(&after),
            },
        };
        state.objects.insert_mut(key, Arc::clone(&after));
        self.committed(&shard, &mut state, revision, change);
        after
    }

    /// Removes an object and gives its last state and the revision of its removal.
    pub(crate) fn remove(&mut self, id: &StorageId, key: &Key) -> Option<(Arc<Stored>, u64)> {
        let shard = self.store.shard(id);
        let mut state = shard.state.write();
        let last = Arc::clone(state.objects.get(key)?);
        state.objects.remove_mut(key);
        let revision = self.store.revision() + 1;
        let change = Change::Deleted(Arc::clone(&last));
        self.committed(&shard, &mut state, revision, change);
        Some((last, revision))
    }

    fn committed(&mut self, shard: &Arc<Shard>, state: &mut State, revision: u64, change: Change) {
        state.log.push(Event { revision, change });
        // Published while the shard is locked: whoever reads the revision under the shard's lock
        // sees all changes of the shard up to it.
        self.store.revision.store(revision, Ordering::Release);
        match self.touched.last_mut() {
            Some((last, newest)) if Arc::ptr_eq(last, shard) => *newest = revision,
            _ => self.touched.push((Arc::clone(shard), revision)),
        }
    }
}
