//! At most one pending entry per key.

use std::collections::{HashMap, VecDeque};

use kubewright_cache::{Event, ObjectKey};
use tokio::time::Instant;

use super::pending::Pending;
use super::{Posted, Taken, initial_additions};

/// Pending facts by key, in the order in which each key's first fact arrived.
///
/// # Invariants
///
/// - `places[key] - head` is the index in `line` of the key's only entry.
/// - `holes` counts the `None`s in `line`, and there are at most as many as entries, plus
///   [`SPARE_HOLES`].
/// - A key without an entry is known to the handler exactly as the store holds it. Hence there
///   are at most as many entries as keys that are in the store or that the handler believes to
///   be there.
#[derive(Debug)]
pub(super) struct Coalescing<K> {
    line: VecDeque<Option<Entry<K>>>,
    /// The place of the line's first slot; places only grow.
    head: u64,
    places: HashMap<ObjectKey, u64>,
    holes: usize,
}

#[derive(Debug)]
struct Entry<K> {
    pending: Pending<K>,
    /// When the first of the facts arrived.
    since: Instant,
}

/// For how many entries an empty line keeps memory: those of a batch.
pub(super) const SPARE_PLACES: usize = 1024;

/// How many holes are not worth a sweep.
const SPARE_HOLES: usize = 32;

impl<K> Coalescing<K> {
    pub(super) fn new() -> Self {
        Self {
            line: VecDeque::new(),
            head: 0,
            places: HashMap::new(),
            holes: 0,
        }
    }

    /// How many keys have something pending.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn push(&mut self, event: Event<K>, now: Instant) -> Posted {
        let Some(&place) = self.places.get(event.key()) else {
            let place = self.head + self.line.len() as u64;
            self.places.insert(event.key().clone(), place);
            self.line.push_back(Some(Entry {
                pending: event.into(),
                since: now,
            }));
            return Posted::Queued;
        };
        let index = self.index(place);
        let slot = &mut self.line[index];
        let entry = slot.take().expect("a key's place holds its entry");
        let key = event.key().clone();
        // Initial additions that the remaining facts do not hold any more are settled.
        let initial_before = entry.pending.initial_additions() + initial_additions(&event);
        let merged = entry.pending.merge(event);
        let initial_after = merged.as_ref().map_or(0, Pending::initial_additions);
        match merged {
            Some(pending) => {
                let since = entry.since;
                *slot = Some(Entry { pending, since });
            }
            None => {
                self.places.remove(&key);
                self.holes += 1;
                self.sweep();
            }
        }
        Posted::Merged {
            settled: initial_before - initial_after,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Taken<K>> {
        loop {
            let Some(entry) = self.line.front_mut()?.take() else {
                self.line.pop_front();
                self.head += 1;
                self.holes -= 1;
                continue;
            };
            let since = entry.since;
            let (event, rest) = entry.pending.split();
            match rest {
                Some(pending) => self.line[0] = Some(Entry { pending, since }),
                None => {
                    self.places.remove(event.key());
                    self.line.pop_front();
                    self.head += 1;
                    if self.places.is_empty() {
                        self.give_back();
                    }
                }
            }
            return Some(Taken { event, since });
        }
    }

    /// Keeps no memory for a backlog that is gone, such as the initial list.
    fn give_back(&mut self) {
        self.line.truncate(0);
        self.head += self.holes as u64;
        self.holes = 0;
        self.line.shrink_to(SPARE_PLACES);
        self.places.shrink_to(SPARE_PLACES);
    }

    fn index(&self, place: u64) -> usize {
        usize::try_from(place - self.head).expect("a place lies within the line")
    }

    /// Closes the holes once they outnumber the entries, which keeps their cost constant per
    /// event.
    fn sweep(&mut self) {
        if self.holes <= self.places.len() + SPARE_HOLES {
            return;
        }
        self.line.retain(Option::is_some);
        self.holes = 0;
        for (place, entry) in (self.head..).zip(self.line.iter().flatten()) {
            if let Some(stored) = self.places.get_mut(entry.pending.key()) {
                *stored = place;
            }
        }
        self.line.shrink_to(2 * self.places.len());
        self.places.shrink_to(2 * self.places.len());
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kubewright_cache::{Certainty, Initial, Object};

    use super::*;

    fn object(name: &str) -> Object<ConfigMap> {
        let json = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        Object::from_json(json.as_bytes()).unwrap()
    }

    fn added(name: &str) -> Event<ConfigMap> {
        Event::Added {
            object: object(name),
            initial: Initial::No,
        }
    }

    fn deleted(name: &str) -> Event<ConfigMap> {
        Event::Deleted {
            object: object(name),
            certainty: Certainty::Seen,
        }
    }

    /// Objects that come and go while the handler is stuck leave nothing behind, not even holes,
    /// and keep their neighbours in order.
    #[test]
    fn short_lives_leave_no_trace() {
        let now = Instant::now();
        let mut line = Coalescing::new();
        for round in 0..10_000 {
            if round % 2_500 == 0 {
                line.push(added(&format!("stays-{round}")), now);
            }
            line.push(added(&format!("brief-{round}")), now);
            line.push(deleted(&format!("brief-{round}")), now);
            assert!(line.line.len() <= 2 * line.len() + SPARE_HOLES + 2);
        }
        line.push(deleted("stays-2500"), now);
        let names: Vec<_> = std::iter::from_fn(|| line.pop())
            .map(|taken| taken.event.key().to_string())
            .collect();
        assert_eq!(names, ["stays-0", "stays-5000", "stays-7500"]);
        assert_eq!((line.len(), line.holes), (0, 0));
    }

    #[test]
    fn an_empty_line_keeps_little_memory() {
        let now = Instant::now();
        let mut line = Coalescing::new();
        for round in 0..3 {
            for number in 0..10_000 {
                line.push(added(&format!("a-{number}")), now);
            }
            line.push(deleted("a-9999"), now);
            assert_eq!(std::iter::from_fn(|| line.pop()).count(), 9_999);
            assert!(line.line.capacity() <= 2 * SPARE_PLACES, "round {round}");
            assert!(line.places.capacity() <= 4 * SPARE_PLACES, "round {round}");
            // It goes on to work.
            line.push(added("b"), now);
            line.push(deleted("b"), now);
            line.push(added("c"), now);
            assert_eq!(
                line.pop()
                    .map(|taken| taken.event.key().to_string())
                    .as_deref(),
                Some("c")
            );
        }
    }

    #[test]
    fn a_wait_counts_from_the_first_of_the_facts() {
        let start = Instant::now();
        let later = start + std::time::Duration::from_secs(1);
        let mut line = Coalescing::new();
        line.push(deleted("a"), start);
        line.push(added("a"), later);
        assert_eq!(line.pop().map(|taken| taken.since), Some(start));
        assert_eq!(line.pop().map(|taken| taken.since), Some(start));
    }
}
