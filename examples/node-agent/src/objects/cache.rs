use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, WeakShared};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::LookupError;
use crate::pod::PodUid;

/// What came of looking for an object.
pub(super) type Found<K> = Result<Arc<K>, LookupError>;

/// Gets an object, given its namespace and its name, from where it really is.
pub(super) type Fetch<K> =
    Box<dyn Fn(String, String) -> BoxFuture<'static, Found<K>> + Send + Sync>;

/// Objects of one kind that pods refer to, each kept for a while.
///
/// - An object is fetched when somebody asks for it and the kept one is older than the TTL; those
///   who ask meanwhile share the answer.
/// - A pod that comes to refer to an object has it fetched anew.
/// - Failures are not kept. While the server cannot say, what it said last stands.
/// - What no pod refers to is not kept either.
///
/// Cheap to clone; clones are the same.
pub(super) struct ObjectCache<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    fetch: Fetch<K>,
    ttl: Duration,
    entries: Mutex<HashMap<ObjectName, Entry<K>>>,
}

/// The namespace and the name.
type ObjectName = (String, String);

struct Entry<K> {
    referrers: HashSet<PodUid>,
    kept: Option<Kept<K>>,
    /// The fetch that is under way, as long as anybody waits for it.
    flight: Option<WeakShared<BoxFuture<'static, Found<K>>>>,
    /// Tells fetches that were begun before a pod came to refer to the object from later ones.
    generation: u64,
}

struct Kept<K> {
    object: Arc<K>,
    /// When it was asked for; `None` if it is too old whatever the time.
    fetched_at: Option<Instant>,
}

impl<K: Send + Sync + 'static> ObjectCache<K> {
    pub(super) fn new(ttl: Duration, fetch: Fetch<K>) -> Self {
        Self {
            shared: Arc::new(Shared {
                fetch,
                ttl,
                entries: Mutex::default(),
            }),
        }
    }

    /// How many objects are referred to.
    pub(super) fn len(&self) -> usize {
        self.shared.entries.lock().len()
    }

    /// A pod refers to these objects from now on, and no longer to those.
    pub(super) fn refer(
        &self,
        pod: &PodUid,
        namespace: &str,
        names: &BTreeSet<String>,
        before: &BTreeSet<String>,
    ) {
        let mut entries = self.shared.entries.lock();
        for name in names {
            let entry = entries.entry((namespace.to_owned(), name.clone()));
            let entry = entry.or_insert_with(Entry::new);
            if entry.referrers.insert(pod.clone()) {
                entry.outdate();
            }
        }
        for name in before.difference(names) {
            let key = (namespace.to_owned(), name.clone());
            if let Some(entry) = entries.get_mut(&key) {
                entry.referrers.remove(pod);
                if entry.referrers.is_empty() {
                    entries.remove(&key);
                }
            }
        }
    }

    /// The object of this namespace and name.
    pub(super) async fn get(&self, namespace: &str, name: &str) -> Found<K> {
        let key = (namespace.to_owned(), name.to_owned());
        let flight = {
            let mut entries = self.shared.entries.lock();
            match entries.get_mut(&key) {
                None => (self.shared.fetch)(key.0, key.1).shared(),
                Some(entry) => {
                    if let Some(object) = entry.fresh(self.shared.ttl) {
                        return Ok(object);
                    }
                    let flight = entry.flight.as_ref().and_then(WeakShared::upgrade);
                    flight.unwrap_or_else(|| {
                        let flight = self.begin(key, entry.generation).shared();
                        entry.flight = flight.downgrade();
                        flight
                    })
                }
            }
        };
        flight.await
    }

    /// A fetch that leaves what it brings in the cache.
    fn begin(&self, key: ObjectName, generation: u64) -> BoxFuture<'static, Found<K>> {
        let shared = Arc::clone(&self.shared);
        let begin = async move {
            let begun_at = Instant::now();
            let found = (shared.fetch)(key.0.clone(), key.1.clone()).await;
            shared.land(&key, generation, begun_at, found)
        };
        begin.boxed()
    }
}

impl<K> Shared<K> {
    fn land(
        &self,
        key: &ObjectName,
        generation: u64,
        begun_at: Instant,
        found: Found<K>,
    ) -> Found<K> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(key);
        let Some(entry) = entry.filter(|entry| entry.generation == generation) else {
            return found;
        };
        entry.flight = None;
        match found {
            Ok(object) => {
                entry.kept = Some(Kept {
                    object: Arc::clone(&object),
                    fetched_at: Some(begun_at),
                });
                Ok(object)
            }
            Err(error @ LookupError::NotFound { .. }) => {
                entry.kept = None;
                Err(error)
            }
            Err(error) => match &entry.kept {
                Some(kept) => {
                    let (namespace, name) = key;
                    tracing::warn!(namespace, name, %error, "an object stands as it was last read");
                    Ok(Arc::clone(&kept.object))
                }
                None => Err(error),
            },
        }
    }
}

impl<K> Entry<K> {
    fn new() -> Self {
        Self {
            referrers: HashSet::new(),
            kept: None,
            flight: None,
            generation: 0,
        }
    }

    fn fresh(&self, ttl: Duration) -> Option<Arc<K>> {
        let kept = self.kept.as_ref()?;
        let age = kept.fetched_at?.elapsed();
        (age < ttl).then(|| Arc::clone(&kept.object))
    }

    fn outdate(&mut self) {
        self.generation += 1;
        self.flight = None;
        if let Some(kept) = &mut self.kept {
            kept.fetched_at = None;
        }
    }
}

impl<K> Clone for ObjectCache<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}
