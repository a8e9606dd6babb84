use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::key::ObjectKey;
use crate::metadata::Metadata;
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
    failures: AtomicU64,
    observer: Arc<dyn Observer>,
}

impl<K: DeserializeOwned + 'static> Codec<K> {
    /// `capacity` bounds the decoded objects that are kept, in bytes of their JSON.
    pub(crate) fn new(capacity: usize, observer: Arc<dyn Observer>) -> Self {
        Self {
            decode: |json| serde_json::from_str(json),
            residents: Mutex::new(Residents::new(capacity)),
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

    fn decode(&self, meta: &Metadata) -> Result<Resident<K>, DecodeError> {
        match (self.decode)(&meta.body) {
            Ok(value) => Ok(Resident {
                value: Arc::new(value),
                used: Arc::default(),
                cost: meta.body.len(),
            }),
            Err(error) => {
                let error = DecodeError {
                    key: meta.key.clone(),
                    resource_version: meta.resource_version.clone(),
                    source: Arc::new(error),
                };
                Err(error)
            }
        }
    }

    fn report(&self, error: &DecodeError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.observer.decode_failed(error);
    }
}

/// What is known of an object's typed form.
pub(crate) struct Memo<K>(Mutex<Outcome<K>>);

enum Outcome<K> {
    Untried,
    Decoded {
        value: Weak<K>,
        used: Arc<AtomicBool>,
    },
    Failed(DecodeError),
}

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self(Mutex::new(Outcome::Untried))
    }
}

impl<K> Memo<K> {
    /// The typed form, decoded at most once at a time.
    pub(crate) fn get(&self, meta: &Metadata, codec: &Codec<K>) -> Result<Arc<K>, DecodeError> {
        let mut outcome = self.0.lock();
        match &*outcome {
            Outcome::Decoded { value, used } => {
                if let Some(value) = value.upgrade() {
                    used.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
            }
            Outcome::Failed(error) => return Err(error.clone()),
            Outcome::Untried => {}
        }
        let resident = match codec.decode(meta) {
            Ok(resident) => resident,
            Err(error) => {
                *outcome = Outcome::Failed(error.clone());
                drop(outcome);
                codec.report(&error);
                return Err(error);
            }
        };
        let value = Arc::clone(&resident.value);
        *outcome = Outcome::Decoded {
            value: Arc::downgrade(&value),
            used: Arc::clone(&resident.used),
        };
        drop(outcome);
        let evicted = codec.residents.lock().insert(resident);
        drop(evicted);
        Ok(value)
    }
}

/// The decoded objects that stay alive without a user: first in, first out, with a second chance
/// for those asked for again.
struct Residents<K> {
    queue: VecDeque<Resident<K>>,
    /// The sum of the residents' costs; never above `capacity`.
    cost: usize,
    capacity: usize,
}

struct Resident<K> {
    value: Arc<K>,
    /// Set by whoever finds the object here.
    used: Arc<AtomicBool>,
    /// The length of the object's JSON.
    cost: usize,
}

impl<K> Residents<K> {
    const fn new(capacity: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            cost: 0,
            capacity,
        }
    }

    /// What has to leave, for the caller to drop outside the lock.
    fn insert(&mut self, resident: Resident<K>) -> Vec<Resident<K>> {
        if resident.cost > self.capacity {
            return vec![resident];
        }
        let mut evicted = Vec::new();
        while self.cost + resident.cost > self.capacity {
            let Some(oldest) = self.queue.pop_front() else {
                break;
            };
            if oldest.used.swap(false, Ordering::Relaxed) {
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

impl<K> fmt::Debug for Codec<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(cost: usize) -> Resident<usize> {
        Resident {
            value: Arc::new(cost),
            used: Arc::default(),
            cost,
        }
    }

    fn costs(residents: &Residents<usize>) -> Vec<usize> {
        residents
            .queue
            .iter()
            .map(|resident| resident.cost)
            .collect()
    }

    #[test]
    fn the_bound_holds_and_the_oldest_leave_first() {
        let mut residents = Residents::new(10);
        for cost in [3, 4, 2] {
            assert!(residents.insert(resident(cost)).is_empty());
        }
        assert_eq!(residents.insert(resident(5)).len(), 2);
        assert_eq!((costs(&residents), residents.cost), (vec![2, 5], 7));
    }

    #[test]
    fn one_that_was_used_gets_a_second_chance_but_only_one() {
        let mut residents = Residents::new(6);
        let used = resident(2);
        used.used.store(true, Ordering::Relaxed);
        residents.insert(used);
        residents.insert(resident(3));
        residents.insert(resident(4));
        assert_eq!(costs(&residents), [2, 4]);
        residents.insert(resident(1));
        assert_eq!(costs(&residents), [4, 1]);
    }

    #[test]
    fn one_larger_than_the_bound_is_not_kept() {
        let mut residents = Residents::new(6);
        residents.insert(resident(5));
        assert_eq!(residents.insert(resident(7)).len(), 1);
        assert_eq!(costs(&residents), [5]);
    }
}
