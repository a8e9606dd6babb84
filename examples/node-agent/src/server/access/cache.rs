use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How many answers are remembered.
const CAPACITY: usize = 4096;

/// Answers, each for a while. The one that would be forgotten first makes room for another.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    answers: HashMap<K, (V, Instant)>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new() -> Self {
        Self {
            answers: HashMap::new(),
            capacity: CAPACITY,
        }
    }

    pub(super) fn get(&self, now: Instant, key: &K) -> Option<V> {
        let (answer, expires) = self.answers.get(key)?;
        (now < *expires).then(|| answer.clone())
    }

    pub(super) fn insert(&mut self, now: Instant, key: K, answer: V, ttl: Duration) {
        if self.answers.len() >= self.capacity && !self.answers.contains_key(&key) {
            self.answers.retain(|_, (_, expires)| now < *expires);
        }
        if self.answers.len() >= self.capacity && !self.answers.contains_key(&key) {
            let first = self.answers.iter().min_by_key(|(_, (_, expires))| *expires);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                self.answers.remove(&first);
            }
        }
        self.answers.insert(key, (answer, now + ttl));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_forgotten_in_time_and_for_others() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut cache = Cache::new();
        cache.capacity = 2;
        cache.insert(now, "a", 1, second * 3);
        cache.insert(now, "b", 2, second * 2);
        assert_eq!(cache.get(now, &"a"), Some(1));
        assert_eq!(cache.get(now + second * 3, &"a"), None);
        // There is no room: what would be forgotten first goes.
        cache.insert(now, "c", 3, second * 9);
        assert_eq!(cache.get(now, &"b"), None);
        assert_eq!(cache.get(now, &"a"), Some(1));
        // What is forgotten already takes no room.
        cache.insert(now + second * 4, "d", 4, second);
        assert_eq!(cache.get(now + second * 4, &"c"), Some(3));
        assert_eq!(cache.answers.len(), 2);
        cache.insert(now + second * 4, "d", 5, second);
        assert_eq!(cache.get(now + second * 4, &"d"), Some(5));
    }
}
