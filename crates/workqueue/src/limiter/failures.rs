//! How often each key failed.

use std::hash::Hash;

use hashbrown::HashMap;

#[derive(Debug, Clone)]
pub(super) struct Failures<K>(HashMap<K, u32>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Failures<K> {
    /// Counts one more failure and returns how many there were before it.
    pub(super) fn count(&mut self, key: &K) -> u32 {
        let count = self.0.entry_ref(key).or_insert(0);
        let before = *count;
        *count = before.saturating_add(1);
        before
    }

    pub(super) fn forget(&mut self, key: &K) {
        // The usual case, a run that succeeds while nothing fails, hashes nothing.
        if !self.0.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn of(&self, key: &K) -> u32 {
        self.0.get(key).copied().unwrap_or(0)
    }
}
