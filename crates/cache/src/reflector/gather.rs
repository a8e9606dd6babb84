use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::delta::Delta;
use crate::key::ObjectKey;
use crate::object::{EncodedObject, Object};
use crate::scan::Scanned;
use crate::source::{PageSink, Undecodable, WatchEvent};
use crate::store::{Snapshot, Store};
use crate::version::ResourceVersion;

/// A complete picture while it is being obtained.
///
/// An item that the store has in the same version is not kept twice: the store's own object is
/// taken, and a listed item is not even copied. So a relist costs little more than what changed.
pub(super) struct Gather<K> {
    store: Store<K>,
    /// The objects at hand, as of the beginning.
    known: Snapshot<K>,
    /// What lists brought, in their order.
    listed: Vec<Object<K>>,
    /// What initial events brought and have not taken back.
    streamed: BTreeMap<ObjectKey, Streamed<K>>,
    /// What cannot be read, of lists and where there is no key.
    undecodable: Vec<Undecodable>,
    /// The text of the key being looked for, to be used again.
    key: String,
    progress: Arc<AtomicU64>,
}

enum Streamed<K> {
    Object(Object<K>),
    Undecodable(Undecodable),
}

impl<K> Gather<K> {
    pub(super) fn new(store: Store<K>) -> Self {
        Self {
            known: store.snapshot(),
            store,
            listed: Vec::new(),
            streamed: BTreeMap::new(),
            undecodable: Vec::new(),
            key: String::new(),
            progress: Arc::default(),
        }
    }

    /// Counts the items gathered by lists, also from elsewhere.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }

    /// Takes in an initial event.
    pub(super) fn event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let object = self
                    .known(&object)
                    .unwrap_or_else(|| self.store.adopt(object));
                let key = object.key().clone();
                self.streamed.insert(key, Streamed::Object(object));
            }
            WatchEvent::Deleted(object) => drop(self.streamed.remove(object.meta().key())),
            WatchEvent::Undecodable(item) => match item.key.clone() {
                Some(key) if item.deleted => {
                    self.streamed.remove(&key);
                    self.undecodable.push(item);
                }
                Some(key) => drop(self.streamed.insert(key, Streamed::Undecodable(item))),
                None => self.undecodable.push(item),
            },
            WatchEvent::Bookmark { .. } => {}
        }
    }

    /// The versions of its objects.
    #[cfg(feature = "kube-runtime")]
    pub(super) fn versions(&self) -> impl Iterator<Item = &ResourceVersion> {
        let streamed = self
            .streamed
            .values()
            .filter_map(|streamed| match streamed {
                Streamed::Object(object) => Some(object),
                Streamed::Undecodable(_) => None,
            });
        let objects = self.listed.iter().chain(streamed);
        objects.map(|object| object.meta().resource_version())
    }

    /// The picture as one delta.
    pub(super) fn finish(self, version: ResourceVersion) -> Delta<K> {
        let (mut items, mut undecodable) = (self.listed, self.undecodable);
        for streamed in self.streamed.into_values() {
            match streamed {
                Streamed::Object(object) => items.push(object),
                Streamed::Undecodable(item) => undecodable.push(item),
            }
        }
        Delta::Replaced {
            items,
            undecodable,
            version,
        }
    }

    /// The store's own object, if it is the version that was streamed.
    fn known(&self, streamed: &EncodedObject) -> Option<Object<K>> {
        let meta = streamed.meta();
        let known = self.known.get(meta.key())?;
        let same = meta.resource_version().is_concrete()
            && known.meta().resource_version() == meta.resource_version()
            && known.meta().uid() == meta.uid();
        same.then(|| known.clone())
    }

    /// The store's own object, if it is the version that was listed.
    fn known_item(&mut self, item: &Scanned<'_>) -> Option<Object<K>> {
        if self.known.is_empty() {
            return None;
        }
        let version = item.resource_version().ok()?;
        if !version.is_concrete() {
            return None;
        }
        let (namespace, name) = item.names().ok()?;
        self.key.clear();
        if !namespace.is_empty() {
            write!(self.key, "{namespace}/").expect("a string takes any text");
        }
        self.key.push_str(&name);
        let known = self.known.get(&self.key)?;
        let same = *known.meta().resource_version() == version
            && *known.meta().uid() == item.uid().ok()?;
        same.then(|| known.clone())
    }
}

impl<K: Send + Sync> PageSink for Gather<K> {
    fn item(&mut self, item: &Scanned<'_>) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if let Some(known) = self.known_item(item) {
            self.listed.push(known);
            return;
        }
        match item.encode() {
            Ok(object) => self.listed.push(self.store.adopt(object)),
            Err(error) => self.undecodable.push(Undecodable::scanned(item, error)),
        }
    }

    fn undecodable(&mut self, item: Undecodable) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        self.undecodable.push(item);
    }
}
