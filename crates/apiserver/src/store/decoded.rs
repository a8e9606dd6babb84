//! The decoded forms of stored objects, as many as memory is given to them.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::Value;

/// How much JSON is kept decoded at a time. A decoded object takes ten times its JSON and more.
const BUDGET: usize = 8 << 20;

/// Which objects are kept decoded: those that were decoded last.
#[derive(Debug)]
pub(super) struct Decoded {
    queue: Mutex<Queue>,
    budget: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// The slots that were filled, oldest first, and the size of their JSON.
    filled: VecDeque<(Weak<Slot>, usize)>,
    /// The sum of the sizes.
    bytes: usize,
}

/// The place for the decoded form of one version of one object.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Arc<Value>>>);

impl Decoded {
    pub(super) fn new() -> Self {
        Self::with_budget(BUDGET)
    }

    /// Keeps objects of together `budget` bytes of JSON.
    pub(super) fn with_budget(budget: usize) -> Self {
        Self {
            queue: Mutex::default(),
            budget,
        }
    }

    /// Takes note of a slot that was filled, and empties the oldest ones for it.
    pub(super) fn note(&self, slot: &Arc<Slot>, size: usize) {
        let mut over = Vec::new();
        let mut queue = self.queue.lock();
        queue.filled.push_back((Arc::downgrade(slot), size));
        queue.bytes += size;
        while queue.bytes > self.budget
            && let Some((oldest, size)) = queue.filled.pop_front()
        {
            queue.bytes -= size;
            over.push(oldest);
        }
        drop(queue);
        for slot in over.iter().filter_map(Weak::upgrade) {
            slot.clear();
        }
    }
}

impl Slot {
    /// A slot that holds `value`.
    pub(super) fn filled(value: Arc<Value>) -> Self {
        Self(Mutex::new(Some(value)))
    }

    /// What the slot holds, and whether it had to be filled by `decode` first.
    pub(super) fn get(&self, decode: impl FnOnce() -> Value) -> (Arc<Value>, bool) {
        let mut slot = self.0.lock();
        match &*slot {
            Some(value) => (Arc::clone(value), false),
            None => (Arc::clone(slot.insert(Arc::new(decode()))), true),
        }
    }

    fn clear(&self) {
        // Dropped after the lock is released.
        let _value = self.0.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_make_way() {
        let decoded = Decoded::with_budget(10);
        let slots: Vec<Arc<Slot>> = (0..4)
            .map(|number| Arc::new(Slot::filled(Arc::new(json!(number)))))
            .collect();
        for slot in &slots {
            decoded.note(slot, 4);
        }
        let refilled: Vec<bool> = slots
            .iter()
            .map(|slot| slot.get(|| json!(null)).1)
            .collect();
        assert_eq!(refilled, [true, true, false, false]);
        let large = Arc::new(Slot::filled(Arc::new(json!({}))));
        decoded.note(&large, 11);
        assert!(large.get(|| json!(null)).1, "too large to be kept");
        assert!(slots[3].get(|| json!(null)).1);
    }
}
