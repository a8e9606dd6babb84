use std::fmt;
use std::sync::Arc;

use super::index::{Defined, Index, IndexFailure};
use super::state::{State, Unreadable};
use super::{SameVersion, Store, StoreError, diff};
use crate::delta::Delta;
use crate::event::{Certainty, Event, Initial};
use crate::fifo::Batch;
use crate::key::ObjectKey;
use crate::object::Object;
use crate::source::Undecodable;
use crate::version::ResourceVersion;

/// The one who writes a [`Store`]: turns deltas into its next state and into events.
///
/// There is one per store. When it is dropped the store stays readable and says so to those who
/// wait for changes.
pub struct StoreWriter<K: 'static> {
    store: Store<K>,
}

impl<K: 'static> StoreWriter<K> {
    pub(super) const fn new(store: Store<K>) -> Self {
        Self { store }
    }

    /// A handle for readers.
    pub const fn store(&self) -> &Store<K> {
        &self.store
    }

    /// Applies a batch of a log; see [`StoreWriter::apply`].
    pub fn apply_batch(&mut self, batch: &mut Batch<K>) -> Vec<Event<K>> {
        let (version, initial) = (batch.version().cloned(), batch.initial());
        self.apply(batch.drain(), version.as_ref(), initial)
    }

    /// Applies deltas in one step, and says what they changed.
    ///
    /// The store moves to `version` unless it is past it. When this returns, readers see the
    /// outcome; they never see a part of it.
    ///
    /// # What becomes an event
    ///
    /// - An addition or update is `Added` or `Updated` by whether the store has the object.
    /// - An update to the version the store has is nothing, unless
    ///   [`SameVersion::Deliver`] asks for it. The entry in the store stays.
    /// - Another incarnation in the place of an object is `Deleted`, inferred, then `Added`.
    /// - A deletion of an object the store does not have is nothing.
    /// - `Replaced` gives the deletions first, inferred, then additions and updates, both
    ///   in the order of keys. An object whose item could not be read stays as it is.
    /// - `Sync` is an `Updated` of every object to itself, in the order of keys.
    pub fn apply(
        &mut self,
        deltas: impl IntoIterator<Item = Delta<K>>,
        version: Option<&ResourceVersion>,
        initial: Initial,
    ) -> Vec<Event<K>> {
        let shared = &*self.store.shared;
        let mut books = shared.books.lock();
        let mut outcome = Outcome {
            events: Vec::new(),
            failures: Vec::new(),
            undecodable: Vec::new(),
            same_version: shared.config.same_version,
            initial,
        };
        for delta in deltas {
            books.apply(delta, &mut outcome);
        }
        books.reach(version);
        books.publish_indexes();
        shared.publish(&books);
        drop(books);
        shared.report(&outcome.failures);
        shared.report_undecodable(&outcome.undecodable);
        outcome.events
    }
}

impl<K: 'static> Drop for StoreWriter<K> {
    fn drop(&mut self) {
        self.store
            .shared
            .changes
            .send_modify(|progress| progress.closed = true);
    }
}

impl<K: 'static> fmt::Debug for StoreWriter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreWriter").field(&self.store).finish()
    }
}

/// What applying deltas leaves for others to hear of.
pub(super) struct Outcome<K> {
    events: Vec<Event<K>>,
    failures: Vec<IndexFailure>,
    undecodable: Vec<Arc<Undecodable>>,
    same_version: SameVersion,
    initial: Initial,
}

/// The next state, while it is being written, and what only its writer needs.
pub(super) struct Books<K> {
    state: State<K>,
    defined: Vec<Defined<K>>,
}

impl<K> Default for Books<K> {
    fn default() -> Self {
        Self {
            state: State::default(),
            defined: Vec::new(),
        }
    }
}

impl<K> Books<K> {
    pub(super) const fn state(&self) -> &State<K> {
        &self.state
    }
}

impl<K: 'static> Books<K> {
    pub(super) fn add_index(
        &mut self,
        name: &str,
        index: Index<K>,
    ) -> Result<Vec<IndexFailure>, StoreError> {
        if self.state.indexes.contains_key(name) {
            return Err(StoreError::IndexExists(name.to_owned()));
        }
        let mut defined = Defined::new(name, index);
        let failures = self
            .state
            .objects
            .iter()
            .filter_map(|object| defined.file(object).err())
            .collect();
        self.defined.push(defined);
        self.publish_indexes();
        Ok(failures)
    }

    fn apply(&mut self, delta: Delta<K>, outcome: &mut Outcome<K>) {
        match delta {
            Delta::Added(object) | Delta::Updated(object) => self.put(object, outcome),
            Delta::Deleted(object) => {
                let key = object.key().clone();
                self.take(&key, Some(object), outcome);
            }
            Delta::Undecodable(item) => {
                if let Some(key) = item.key.as_ref().filter(|_| item.deleted) {
                    self.take(key, None, outcome);
                }
                self.mark(item, outcome);
            }
            Delta::Replaced {
                items, undecodable, ..
            } => self.replace(items, undecodable, outcome),
            Delta::Sync => outcome
                .events
                .extend(self.state.objects.iter().map(|object| Event::Updated {
                    old: object.clone(),
                    new: object.clone(),
                })),
            Delta::Bookmark { .. } => {}
        }
    }

    /// Moves on to a version, never back.
    fn reach(&mut self, version: Option<&ResourceVersion>) {
        let Some(version) = version else { return };
        let past = self
            .state
            .version
            .as_ref()
            .is_some_and(|own| own.compare(version).is_some_and(std::cmp::Ordering::is_gt));
        if !past {
            self.state.version = Some(version.clone());
        }
    }

    fn put(&mut self, object: Object<K>, outcome: &mut Outcome<K>) {
        self.state.unreadable.remove(object.key());
        let Some(old) = self.state.objects.get(object.key()).cloned() else {
            self.file(None, &object, outcome);
            self.state.objects.insert(object.clone());
            outcome.added(object);
            return;
        };
        if old.same_version(&object) {
            if outcome.same_version == SameVersion::Deliver {
                outcome.updated(old.clone(), old);
            }
            return;
        }
        self.file(Some(&old), &object, outcome);
        self.state.objects.insert(object.clone());
        outcome.changed(old, object);
    }

    fn take(&mut self, key: &ObjectKey, last: Option<Object<K>>, outcome: &mut Outcome<K>) {
        self.state.unreadable.remove(key);
        let Some(known) = self.state.objects.remove(key) else {
            return;
        };
        self.unfile(&known);
        match last {
            // Another incarnation came and went unseen; the one that was known is gone too.
            Some(last) if last.meta().uid() != known.meta().uid() => {
                outcome.deleted(known, Certainty::Inferred);
            }
            Some(last) => outcome.deleted(last, Certainty::Seen),
            // It was told of, but what it was at the end cannot be read.
            None => outcome.deleted(known, Certainty::Inferred),
        }
    }

    fn mark(&mut self, item: Undecodable, outcome: &mut Outcome<K>) {
        let item = Arc::new(item);
        if let Some(key) = item.key.clone().filter(|_| !item.deleted) {
            let item = Arc::clone(&item);
            self.state.unreadable.insert(Unreadable { key, item });
        }
        outcome.undecodable.push(item);
    }

    fn replace(
        &mut self,
        items: Vec<Object<K>>,
        undecodable: Vec<Undecodable>,
        outcome: &mut Outcome<K>,
    ) {
        self.state.unreadable = crate::tree::Tree::default();
        for item in undecodable {
            self.mark(item, outcome);
        }
        let diff = diff::diff(&self.state.objects, items, |key| {
            self.state.unreadable.get(key).is_some()
        });
        for old in diff.gone {
            self.unfile(&old);
            outcome.deleted(old, Certainty::Inferred);
        }
        for (old, new) in diff.changed {
            self.file(old.as_ref(), &new, outcome);
            match old {
                Some(old) => outcome.changed(old, new),
                None => outcome.added(new),
            }
        }
        if outcome.same_version == SameVersion::Deliver {
            for object in diff.same {
                outcome.updated(object.clone(), object);
            }
        }
        self.state.objects = diff.objects;
    }

    /// Files the object in all indexes, in the place of its version before.
    fn file(&mut self, old: Option<&Object<K>>, new: &Object<K>, outcome: &mut Outcome<K>) {
        let before = old.and_then(|old| old.meta().controller_of());
        let after = new.meta().controller_of();
        if before.map(|owner| owner.uid) != after.map(|owner| owner.uid) {
            if let Some(owner) = before {
                self.state.owners.remove(owner.uid, new.key());
            }
            if let Some(owner) = after {
                self.state.owners.add(owner.uid, new.key());
            }
        }
        for defined in &mut self.defined {
            outcome.failures.extend(defined.file(new).err());
        }
    }

    fn unfile(&mut self, object: &Object<K>) {
        if let Some(owner) = object.meta().controller_of() {
            self.state.owners.remove(owner.uid, object.key());
        }
        for defined in &mut self.defined {
            defined.unfile(object.key());
        }
    }

    /// Shows readers the indexes as they are now.
    fn publish_indexes(&mut self) {
        for defined in &self.defined {
            self.state
                .indexes
                .insert(Arc::clone(defined.name()), defined.postings().clone());
        }
    }
}

impl<K> Outcome<K> {
    fn added(&mut self, object: Object<K>) {
        self.events.push(Event::Added {
            object,
            initial: self.initial,
        });
    }

    fn updated(&mut self, old: Object<K>, new: Object<K>) {
        self.events.push(Event::Updated { old, new });
    }

    fn deleted(&mut self, object: Object<K>, certainty: Certainty) {
        self.events.push(Event::Deleted { object, certainty });
    }

    /// An update, unless it is another incarnation that took the place.
    fn changed(&mut self, old: Object<K>, new: Object<K>) {
        if old.meta().uid() == new.meta().uid() {
            self.updated(old, new);
        } else {
            self.deleted(old, Certainty::Inferred);
            self.added(new);
        }
    }
}
