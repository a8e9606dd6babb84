use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::key::ObjectKey;
use crate::object::Entry;
use crate::observer::{Logged, Observer};
use crate::version::ResourceVersion;

/// An object whose body is not what its type says.
///
/// Cheap to clone; the error is kept with the object.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{key} at version {resource_version:?} does not decode")]
pub struct DecodeError {
    key: ObjectKey,
    resource_version: ResourceVersion,
    #[source]
    source: Arc<serde_json::Error>,
}

impl DecodeError {
    /// The object that does not decode.
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The version that does not decode; the next one may.
    pub const fn resource_version(&self) -> &ResourceVersion {
        &self.resource_version
    }
}

/// How the objects of one store become typed ones, and those that were asked for last.
pub(crate) struct Codec<K> {
    decode: fn(&str) -> Result<K, serde_json::Error>,
    residents: Mutex<Residents<K>>,
    /// The most that the residents may cost together.
    capacity: usize,
    failures: AtomicU64,
    observer: Arc<dyn Observer>,
}

impl<K: DeserializeOwned + 'static> Codec<K> {
    /// `capacity` bounds the decoded objects that are kept, in bytes of their JSON.
    pub(crate) fn new(capacity: usize, observer: Arc<dyn Observer>) -> Self {
        Self {
            decode: |json| serde_json::from_str(json),
            residents: Mutex::default(),
            capacity,
            failures: AtomicU64::new(0),
            observer,
        }
    }

    /// For objects outside any store.
    pub(crate) fn detached() -> Self {
        Self::new(0, Arc::new(Logged::default()))
    }
}

impl<K> Codec<K> {
    /// How many versions did not decode.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The typed form of an object, decoded now unless it is at hand, and at most once at a time.
    pub(crate) fn typed(&self, entry: &Arc<Entry<K>>) -> Result<Arc<K>, DecodeError> {
        let Memo { outcome, used } = &entry.memo;
        let mut outcome = outcome.lock();
        match &*outcome {
            Outcome::Decoded(value) => {
                used.store(true, Ordering::Relaxed);
                return Ok(Arc::clone(value));
            }
            Outcome::Failed(error) => return Err(DecodeError::clone(error)),
            Outcome::Unknown => {}
        }
        let value = match (self.decode)(&entry.meta.body) {
            Ok(value) => Arc::new(value),
            Err(error) => {
                let error = DecodeError {
                    key: entry.meta.key.clone(),
                    resource_version: entry.meta.resource_version.clone(),
                    source: Arc::new(error),
                };
                *outcome = Outcome::Failed(Box::new(error.clone()));
                drop(outcome);
                self.report(&error);
                return Err(error);
            }
        };
        let resident = Resident {
            entry: Arc::downgrade(entry),
            cost: entry.meta.body.len(),
        };
        if resident.cost <= self.capacity {
            *outcome = Outcome::Decoded(Arc::clone(&value));
            // The locks of two objects are never held together.
            drop(outcome);
            let evicted = self.residents.lock().insert(resident, self.capacity);
            evicted.into_iter().for_each(Resident::leave);
        }
        Ok(value)
    }

    fn report(&self, error: &DecodeError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.observer.decode_failed(error);
    }
}

/// What is known of an object's typed form.
pub(crate) struct Memo<K> {
    outcome: Mutex<Outcome<K>>,
    /// Set by whoever finds the typed form at hand.
    used: AtomicBool,
}

enum Outcome<K> {
    /// It was not asked for, or was not kept.
    Unknown,
    /// It is at hand, for as long as the object is a resident.
    ///
    /// There is no weak reference to one that is not kept but still in use: that would hold on to
    /// the memory of the struct itself, some kilobytes of a Pod, when the use is long over.
    Decoded(Arc<K>),
    Failed(Box<DecodeError>),
}

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self {
            outcome: Mutex::new(Outcome::Unknown),
            used: AtomicBool::new(false),
        }
    }
}

/// The objects whose typed form is kept: first in, first out, with a second chance for those asked
/// for again.
struct Residents<K> {
    queue: VecDeque<Resident<K>>,
    /// The sum of the residents' costs; never above the capacity.
    cost: usize,
}

struct Resident<K> {
    /// Gone when its object is; its typed form then is, too.
    entry: Weak<Entry<K>>,
    /// The length of the object's JSON.
    cost: usize,
}

impl<K> Residents<K> {
    /// Takes in one that costs no more than the capacity. Returns those that have to
    /// [leave](Resident::leave), which the caller lets them outside of the lock.
    fn insert(&mut self, resident: Resident<K>, capacity: usize) -> Vec<Resident<K>> {
        let mut evicted = Vec::new();
        while self.cost + resident.cost > capacity {
            let Some(oldest) = self.queue.pop_front() else {
                break;
            };
            if oldest.was_used() {
                self.queue.push_back(oldest);
            } else {
                self.cost -= oldest.cost;
                evicted.push(oldest);
            }
        }
        self.cost += resident.cost;
        self.queue.push_back(resident);
        evicted
    }
}

impl<K> Resident<K> {
    /// Whether it was asked for since it was looked at last.
    fn was_used(&self) -> bool {
        let entry = self.entry.upgrade();
        entry.is_some_and(|entry| entry.memo.used.swap(false, Ordering::Relaxed))
    }

    /// Keeps its typed form no longer.
    fn leave(self) {
        if let Some(entry) = self.entry.upgrade() {
            let kept = std::mem::replace(&mut *entry.memo.outcome.lock(), Outcome::Unknown);
            // Not under the lock: it may be large.
            drop(kept);
        }
    }
}

impl<K> Default for Residents<K> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            cost: 0,
        }
    }
}

impl<K> fmt::Debug for Codec<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::object::{EncodedObject, Object};

    /// Objects whose JSON costs 100 bytes for each of their size, and room for `room` of those.
    struct World {
        codec: Arc<Codec<Value>>,
        objects: Vec<Object<Value>>,
    }

    impl World {
        fn new(room: usize, sizes: &[usize]) -> Self {
            let codec = Arc::new(Codec::new(100 * room, Arc::new(Logged::default())));
            let objects = sizes.iter().map(|size| {
                let (head, tail) = (r#"{"metadata":{"name":"a"},"x":""#, r#""}"#);
                let filling = "x".repeat(100 * size - head.len() - tail.len());
                let json = format!("{head}{filling}{tail}");
                let encoded = EncodedObject::from_json(json.as_bytes()).unwrap();
                Object::new(encoded, Arc::clone(&codec))
            });
            Self {
                objects: objects.collect(),
                codec,
            }
        }

        fn get(&self, object: usize) -> Arc<Value> {
            self.objects[object].get().unwrap()
        }

        /// Asks for each object in turn; which are kept then.
        fn kept(&self) -> Vec<usize> {
            let typed: Vec<_> = (0..self.objects.len()).map(|at| self.get(at)).collect();
            let kept = |at: &usize| Arc::strong_count(&typed[*at]) > 1;
            (0..typed.len()).filter(kept).collect()
        }

        fn cost(&self) -> usize {
            self.codec.residents.lock().cost / 100
        }
    }

    #[test]
    fn the_bound_holds_and_the_oldest_leave_first() {
        let world = World::new(10, &[3, 4, 2, 5]);
        assert_eq!(world.kept(), [2, 3]);
        assert_eq!(world.cost(), 7);
    }

    #[test]
    fn one_that_was_used_gets_a_second_chance_but_only_one() {
        let world = World::new(6, &[2, 3, 4, 1]);
        let first = world.get(0);
        assert!(Arc::ptr_eq(&first, &world.get(0)), "it is at hand");
        world.get(1);
        world.get(2);
        assert_eq!(
            Arc::strong_count(&first),
            2,
            "the one after it had to leave"
        );
        world.get(3);
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(world.cost(), 5);
    }

    #[test]
    fn one_larger_than_the_bound_is_not_kept() {
        assert_eq!(World::new(6, &[5, 7]).kept(), [0]);
    }

    /// However often objects change, their old versions are not kept decoded.
    #[test]
    fn what_is_gone_is_not_kept() {
        let mut world = World::new(6, &[5]);
        let typed = world.get(0);
        world.objects.clear();
        assert_eq!(Arc::strong_count(&typed), 1);
    }

    #[test]
    fn nothing_holds_on_to_the_memory_of_what_was_not_kept() {
        for room in [0, 2] {
            let world = World::new(room, &[1, 2]);
            let typed = world.get(0);
            world.get(1);
            assert_eq!(Arc::strong_count(&typed), 1);
            assert_eq!(Arc::weak_count(&typed), 0);
        }
    }
}
