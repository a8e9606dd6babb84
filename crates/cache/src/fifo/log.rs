use std::collections::{HashMap, HashSet, VecDeque};

use super::Compression;
use crate::delta::Delta;
use crate::event::Initial;
use crate::key::ObjectKey;
use crate::version::ResourceVersion;

/// The log itself, without anybody waiting.
pub(super) struct Log<K> {
    slots: VecDeque<Slot<K>>,
    /// How many slots have been popped: slot `n` of all time is at `slots[n - popped]`.
    popped: u64,
    /// Where the last slot of a key is that others may join; only with [`Compression::PerKey`].
    joinable: HashMap<ObjectKey, u64>,
    compression: Compression,
    closed: bool,
    /// The memory of an earlier batch, to be used again.
    spare: Vec<Delta<K>>,
    /// Whether anything has been pushed that begins a life of the store.
    populated: bool,
    /// How many slots at the front belong to the first complete picture.
    initial: usize,
    /// How many batches of the first complete picture are being processed.
    initial_in_hand: usize,
}

struct Slot<K> {
    delta: Delta<K>,
    /// The version a store has reached with this slot. Not the delta's own where another delta
    /// has joined: what came before that one may still be waiting behind this slot.
    version: Option<ResourceVersion>,
}

impl<K> Log<K> {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            slots: VecDeque::new(),
            popped: 0,
            joinable: HashMap::new(),
            compression,
            closed: false,
            spare: Vec::new(),
            populated: false,
            initial: 0,
            initial_in_hand: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn has_synced(&self) -> bool {
        self.populated && self.initial == 0 && self.initial_in_hand == 0
    }

    /// Whether nothing goes in, comes out or is being processed that could make it synced.
    pub(super) fn has_ended(&self) -> bool {
        self.closed && self.slots.is_empty() && self.initial_in_hand == 0
    }

    /// Whether the delta would join one that waits, and so needs no room.
    pub(super) fn would_merge(&self, delta: &Delta<K>) -> bool {
        self.host(delta).is_some()
    }

    pub(super) fn push(&mut self, delta: Delta<K>) {
        let version = delta.version().cloned();
        if let Some(place) = self.host(&delta) {
            self.join(place, delta, version);
            return;
        }
        match &delta {
            Delta::Replaced { .. } | Delta::Sync => self.joinable.clear(),
            Delta::Added(object) | Delta::Updated(object) => {
                if self.compression == Compression::PerKey {
                    let place = self.popped + self.slots.len() as u64;
                    self.joinable.insert(object.key().clone(), place);
                }
            }
            _ => {
                if let Some(key) = delta.key() {
                    self.joinable.remove(key);
                }
            }
        }
        let first_picture = !self.populated && matches!(delta, Delta::Replaced { .. });
        let begins_life = !matches!(delta, Delta::Sync | Delta::Bookmark { .. });
        self.slots.push_back(Slot { delta, version });
        if first_picture {
            self.initial = self.slots.len();
        }
        self.populated |= begins_life;
    }

    /// The next batch: its deltas, the version reached with them, whether they are initial.
    pub(super) fn pop(
        &mut self,
        limit: usize,
    ) -> Option<(Vec<Delta<K>>, Option<ResourceVersion>, Initial)> {
        let count = self.batch_length(limit)?;
        let initial = if self.initial > 0 {
            self.initial -= count;
            self.initial_in_hand += 1;
            Initial::Yes
        } else {
            Initial::No
        };
        let mut version = None;
        let mut deltas = std::mem::take(&mut self.spare);
        for slot in self.slots.drain(..count) {
            if slot.version.is_some() {
                version = slot.version;
            }
            deltas.push(slot.delta);
        }
        let first = self.popped;
        self.popped += count as u64;
        if !self.joinable.is_empty() {
            for delta in &deltas {
                if let Some(key) = delta.key()
                    && self
                        .joinable
                        .get(key)
                        .is_some_and(|place| *place < first + count as u64)
                {
                    self.joinable.remove(key);
                }
            }
        }
        Some((deltas, version, initial))
    }

    /// A batch has been processed, and its memory is free.
    pub(super) fn processed(&mut self, initial: Initial, spare: Vec<Delta<K>>) {
        debug_assert!(spare.is_empty());
        self.spare = spare;
        if matches!(initial, Initial::Yes) {
            self.initial_in_hand -= 1;
        }
    }

    /// How many deltas from the front make the next batch.
    fn batch_length(&self, limit: usize) -> Option<usize> {
        let first = &self.slots.front()?.delta;
        let limit = if self.initial > 0 {
            limit.min(self.initial)
        } else {
            limit
        };
        if !first.is_batchable() || self.slots.len() == 1 || limit == 1 {
            return Some(1);
        }
        let mut keys = HashSet::new();
        let length = self
            .slots
            .iter()
            .take(limit)
            .take_while(|slot| {
                slot.delta.is_batchable() && slot.delta.key().is_none_or(|key| keys.insert(key))
            })
            .count();
        Some(length)
    }

    /// The waiting slot that the delta can join.
    fn host(&self, delta: &Delta<K>) -> Option<u64> {
        let place = *self.joinable.get(delta.key()?)?;
        let (Delta::Added(waiting) | Delta::Updated(waiting)) = &self.slot(place).delta else {
            return None;
        };
        let joins = match delta {
            Delta::Updated(object) | Delta::Deleted(object) => {
                object.meta().uid() == waiting.meta().uid()
            }
            _ => false,
        };
        joins.then_some(place)
    }

    fn join(&mut self, place: u64, delta: Delta<K>, version: Option<ResourceVersion>) {
        let last = place + 1 == self.popped + self.slots.len() as u64;
        let index = usize::try_from(place - self.popped).expect("the slot is in memory");
        let slot = &mut self.slots[index];
        slot.delta = match (&slot.delta, delta) {
            (Delta::Added(_), Delta::Updated(object)) => Delta::Added(object),
            (_, delta) => delta,
        };
        if let Delta::Deleted(object) = &slot.delta {
            self.joinable.remove(object.key());
        }
        if version.is_none() {
            return;
        }
        if last {
            slot.version = version;
            return;
        }
        match self.slots.back_mut() {
            Some(Slot {
                delta: Delta::Bookmark { version: reached },
                version: own,
            }) => {
                reached.clone_from(version.as_ref().expect("it was looked at above"));
                *own = version;
            }
            _ => self.slots.push_back(Slot {
                delta: Delta::Bookmark {
                    version: version.clone().expect("it was looked at above"),
                },
                version,
            }),
        }
    }

    fn slot(&self, place: u64) -> &Slot<K> {
        let index = usize::try_from(place - self.popped).expect("the slot is in memory");
        &self.slots[index]
    }
}
