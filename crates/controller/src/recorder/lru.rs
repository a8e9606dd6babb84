//! A bounded memory that forgets what was not looked at for longest.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

#[derive(Debug)]
pub(super) struct Lru<V> {
    capacity: usize,
    entries: HashMap<Arc<str>, (V, u64)>,
    /// Keys by when they were last looked at.
    by_age: BTreeMap<u64, Arc<str>>,
    now: u64,
}

impl<V> Lru<V> {
    /// Remembers up to `capacity` values, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            now: 0,
        }
    }

    /// The value of `key`, made if it is not remembered.
    pub(super) fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> V) -> &mut V {
        self.now += 1;
        let now = self.now;
        if let Some((_, used)) = self.entries.get_mut(key) {
            let key = self.by_age.remove(used).expect("every entry has an age");
            self.by_age.insert(now, key);
            *used = now;
        } else {
            if self.entries.len() == self.capacity {
                let (_, oldest) = self.by_age.pop_first().expect("the capacity is not zero");
                self.entries.remove(&oldest);
            }
            let key: Arc<str> = key.into();
            self.by_age.insert(now, Arc::clone(&key));
            self.entries.insert(key, (make(), now));
        }
        let (value, _) = self
            .entries
            .get_mut(key)
            .expect("it was found or put there");
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_for_longest_is_forgotten() {
        let mut lru = Lru::new(2);
        let mut look = |key, value| *lru.get_or_insert_with(key, || value);
        assert_eq!((look("a", 1), look("b", 2)), (1, 2));
        assert_eq!(look("a", 3), 1);
        assert_eq!(look("c", 4), 4); // b goes
        assert_eq!(look("a", 5), 1);
        assert_eq!(look("b", 6), 6); // c goes
        assert_eq!(look("c", 7), 7);
    }
}
