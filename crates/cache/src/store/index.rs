use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::key::ObjectKey;
use crate::metadata::Metadata;
use crate::object::Object;
use crate::tree::{Iter, Keyed, Tree};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Function<K> = dyn Fn(&Object<K>) -> Result<Vec<String>, BoxError> + Send + Sync;

/// By which values objects are to be found: a function from an object to any number of texts.
///
/// # Example
///
/// ```
/// use kubewright_cache::Index;
/// use k8s_openapi::api::core::v1::Pod;
///
/// let by_app = Index::<Pod>::on_meta(|meta| meta.label("app").map(str::to_owned).into_iter().collect());
/// let by_node = Index::<Pod>::on_object(|pod| {
///     pod.spec.iter().filter_map(|spec| spec.node_name.clone()).collect()
/// });
/// # drop((by_app, by_node));
/// ```
///
/// # Failure
///
/// A function that fails or panics leaves that version of the object out of the index, and
/// [`Observer::index_failed`](crate::Observer::index_failed) is told. Everything else goes on.
pub struct Index<K> {
    function: Arc<Function<K>>,
}

impl<K: 'static> Index<K> {
    /// From the metadata; never decodes.
    pub fn on_meta(values: impl Fn(&Metadata) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::new(move |object| Ok(values(object.meta())))
    }

    /// From the typed object, which is decoded once per version for it.
    pub fn on_object(values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::new(move |object| Ok(values(&*object.get()?)))
    }

    /// From the object as it is kept, with errors of its own.
    pub fn new(
        values: impl Fn(&Object<K>) -> Result<Vec<String>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            function: Arc::new(values),
        }
    }

    /// The object's values, sorted and without duplicates.
    fn values(&self, object: &Object<K>) -> Result<Vec<Arc<str>>, BoxError> {
        let values = catch_unwind(AssertUnwindSafe(|| (self.function)(object)))
            .unwrap_or_else(|panic| Err(panic_message(&*panic).into()))?;
        let mut values: Vec<Arc<str>> = values.into_iter().map(Into::into).collect();
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

impl<K> fmt::Debug for Index<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the index function panicked: {}",
        text.unwrap_or("no message")
    )
}

/// An object that an index function failed for.
#[derive(Debug, thiserror::Error)]
#[error("{key} is not in index {index}")]
#[non_exhaustive]
pub struct IndexFailure {
    /// The index.
    pub index: String,
    /// The object that is missing from it.
    pub key: ObjectKey,
    /// What the function said.
    pub source: BoxError,
}

/// Which keys have which value; copied in constant time.
///
/// Invariant: no value without keys.
pub(super) struct Postings<V: Ord + Clone>(Tree<Posting<V>>);

struct Posting<V> {
    value: V,
    keys: Tree<ObjectKey>,
}

impl Keyed for ObjectKey {
    type Key = Self;

    fn key(&self) -> &Self {
        self
    }
}

impl<V: Ord + Clone> Keyed for Posting<V> {
    type Key = V;

    fn key(&self) -> &V {
        &self.value
    }
}

impl<V: Clone> Clone for Posting<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            keys: self.keys.clone(),
        }
    }
}

impl<V: Ord + Clone> Postings<V> {
    pub(super) fn add(&mut self, value: &V, key: &ObjectKey) {
        let mut posting = self.0.get(value).cloned().unwrap_or_else(|| Posting {
            value: value.clone(),
            keys: Tree::default(),
        });
        posting.keys.insert(key.clone());
        self.0.insert(posting);
    }

    pub(super) fn remove(&mut self, value: &V, key: &ObjectKey) {
        let Some(mut posting) = self.0.get(value).cloned() else {
            return;
        };
        posting.keys.remove(key);
        if posting.keys.len() == 0 {
            self.0.remove(value);
        } else {
            self.0.insert(posting);
        }
    }

    /// The keys that have the value, in order.
    pub(super) fn keys<Q: Ord + ?Sized>(&self, value: &Q) -> Option<Iter<'_, ObjectKey>>
    where
        V: std::borrow::Borrow<Q>,
    {
        self.0.get(value).map(|posting| posting.keys.iter())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|posting| &posting.value)
    }
}

impl<V: Ord + Clone> Clone for Postings<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Ord + Clone> Default for Postings<V> {
    fn default() -> Self {
        Self(Tree::default())
    }
}

/// The indexes that a snapshot can be asked by, by name.
pub(super) type Published = BTreeMap<Arc<str>, Postings<Arc<str>>>;

/// One index that a user defined, as its writer keeps it.
pub(super) struct Defined<K> {
    name: Arc<str>,
    index: Index<K>,
    postings: Postings<Arc<str>>,
    /// The values each object is filed under, so that it is found again to be unfiled even if its
    /// function would say something else by now. Objects without values are left out.
    filed: HashMap<ObjectKey, Vec<Arc<str>>>,
}

impl<K: 'static> Defined<K> {
    pub(super) fn new(name: &str, index: Index<K>) -> Self {
        Self {
            name: name.into(),
            index,
            postings: Postings::default(),
            filed: HashMap::new(),
        }
    }

    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) const fn postings(&self) -> &Postings<Arc<str>> {
        &self.postings
    }

    /// Files the object under its values, in the place of its version before.
    pub(super) fn file(&mut self, object: &Object<K>) -> Result<(), IndexFailure> {
        let key = object.key();
        let (values, outcome) = match self.index.values(object) {
            Ok(values) => (values, Ok(())),
            Err(source) => (
                Vec::new(),
                Err(IndexFailure {
                    index: self.name.to_string(),
                    key: key.clone(),
                    source,
                }),
            ),
        };
        let before = self.filed.get(key).map_or(&[][..], Vec::as_slice);
        if before != values {
            for value in before.iter().filter(|value| !values.contains(value)) {
                self.postings.remove(value, key);
            }
            for value in values.iter().filter(|value| !before.contains(value)) {
                self.postings.add(value, key);
            }
            if values.is_empty() {
                self.filed.remove(key);
            } else {
                self.filed.insert(key.clone(), values);
            }
        }
        outcome
    }

    pub(super) fn unfile(&mut self, key: &ObjectKey) {
        for value in self.filed.remove(key).unwrap_or_default() {
            self.postings.remove(&value, key);
        }
    }
}
