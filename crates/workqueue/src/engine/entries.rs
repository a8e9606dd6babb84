//! What the engine knows of each key: one entry per key that is anywhere in the queue.

use std::num::NonZeroU64;
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;
use hashbrown::hash_table;
use tokio::time::Instant;

/// Names an entry for as long as its key is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u32);

impl Id {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a key stands between being added and being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Neither to be run nor running: some delay alone keeps the entry.
    Parked,
    /// In `ready`, once.
    Queued,
    /// Handed out.
    Running,
    /// Handed out, and to be queued again when that run is done.
    Rerun,
}

#[derive(Debug)]
pub(super) struct Entry<K, C> {
    pub(super) key: K,
    hash: u64,
    pub(super) phase: Phase,
    /// Merged from the adds since the key was last handed out; meaningful while Queued or Rerun.
    pub(super) cause: C,
    /// When the first of those adds came, if somebody measures.
    pub(super) queued_at: Option<Instant>,
    /// The place in the line for tokens, while there.
    pub(super) place: Option<NonZeroU64>,
    /// The place in `running` while Running or Rerun.
    pub(super) slot: u32,
}

/// Entries by key and by [`Id`].
#[derive(Debug)]
pub(super) struct Entries<K, C> {
    table: HashTable<Id>,
    slots: Vec<Option<Entry<K, C>>>,
    vacant: Vec<Id>,
}

impl<K, C> Entries<K, C> {
    /// An empty collection that once held more than this gives its memory back.
    const KEEP: usize = 4096;

    pub(super) fn new() -> Self {
        Self {
            table: HashTable::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Whether memory was given back, so that ids start from zero again.
    pub(super) fn remove(&mut self, id: Id) -> bool {
        let entry = self.slots[id.index()].take().expect("an id names an entry");
        self.table
            .find_entry(entry.hash, |&other| other == id)
            .expect("every entry is in the table")
            .remove();
        self.vacant.push(id);
        let give_back = self.table.is_empty() && self.slots.len() > Self::KEEP;
        if give_back {
            *self = Self::new();
        }
        give_back
    }
}

impl<K: Eq, C: Default> Entries<K, C> {
    /// The entry of `key`, made on demand.
    pub(super) fn intern(&mut self, hash: u64, key: K) -> Id {
        let Self {
            table,
            slots,
            vacant,
        } = self;
        let vacancy = match table.entry(
            hash,
            |&id| {
                slots[id.index()]
                    .as_ref()
                    .is_some_and(|entry| entry.key == key)
            },
            |&id| slots[id.index()].as_ref().map_or(0, |entry| entry.hash),
        ) {
            hash_table::Entry::Occupied(found) => return *found.get(),
            hash_table::Entry::Vacant(vacancy) => vacancy,
        };
        let id = vacant.pop().unwrap_or_else(|| {
            slots.push(None);
            Id(u32::try_from(slots.len() - 1).expect("fewer than 2^32 keys are in the queue"))
        });
        slots[id.index()] = Some(Entry {
            key,
            hash,
            phase: Phase::Parked,
            cause: C::default(),
            queued_at: None,
            place: None,
            slot: 0,
        });
        vacancy.insert(id);
        id
    }
}

impl<K, C> Index<Id> for Entries<K, C> {
    type Output = Entry<K, C>;

    fn index(&self, id: Id) -> &Entry<K, C> {
        self.slots[id.index()]
            .as_ref()
            .expect("an id names an entry")
    }
}

impl<K, C> IndexMut<Id> for Entries<K, C> {
    fn index_mut(&mut self, id: Id) -> &mut Entry<K, C> {
        self.slots[id.index()]
            .as_mut()
            .expect("an id names an entry")
    }
}
