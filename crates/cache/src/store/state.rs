use std::fmt;
use std::sync::Arc;

use super::StoreError;
use super::index::{Postings, Published};
use crate::key::ObjectKey;
use crate::object::Object;
use crate::source::Undecodable;
use crate::tree::{Keyed, Tree};
use crate::uid::Uid;
use crate::version::ResourceVersion;

/// Everything a reader can see, as of one version; shared and never changed.
pub(super) struct State<K> {
    pub(super) objects: Tree<Object<K>>,
    /// By the uid of the controlling owner.
    pub(super) owners: Postings<Uid>,
    pub(super) indexes: Published,
    /// The items that could not be read and whose objects have not been readable since.
    pub(super) unreadable: Tree<Unreadable>,
    pub(super) version: Option<ResourceVersion>,
}

/// An item that could not be read, of an object that is known by name.
#[derive(Clone)]
pub(super) struct Unreadable {
    pub(super) key: ObjectKey,
    pub(super) item: Arc<Undecodable>,
}

impl Keyed for Unreadable {
    type Key = ObjectKey;

    fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl<K> Keyed for Object<K> {
    type Key = ObjectKey;

    fn key(&self) -> &ObjectKey {
        Self::key(self)
    }
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            objects: Tree::default(),
            owners: Postings::default(),
            indexes: Published::default(),
            unreadable: Tree::default(),
            version: None,
        }
    }
}

impl<K> Clone for State<K> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            owners: self.owners.clone(),
            indexes: self.indexes.clone(),
            unreadable: self.unreadable.clone(),
            version: self.version.clone(),
        }
    }
}

/// A store as it was at one moment.
///
/// Cheap to take and to clone. It is consistent across objects and indexes, never changes, and
/// holds up nobody; it keeps the objects of its moment alive.
pub struct Snapshot<K> {
    state: Arc<State<K>>,
}

impl<K> Snapshot<K> {
    pub(super) const fn new(state: Arc<State<K>>) -> Self {
        Self { state }
    }

    /// The object with this key.
    pub fn get(&self, key: impl AsRef<str>) -> Option<&Object<K>> {
        self.state.objects.get(key.as_ref())
    }

    /// All objects, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = &Object<K>> {
        self.state.objects.iter()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects of a namespace, ordered by name.
    pub fn namespace(&self, namespace: &str) -> impl Iterator<Item = &Object<K>> {
        let prefix = format!("{namespace}/");
        self.state
            .objects
            .from(prefix.as_str())
            .take_while(move |object| object.key().as_str().starts_with(&prefix))
    }

    /// The objects that `owner` controls, ordered by key.
    pub fn owned_by(&self, owner: &Uid) -> impl Iterator<Item = &Object<K>> {
        self.objects_of(self.state.owners.keys(owner))
    }

    /// The objects that have `value` in a user-defined index, ordered by key.
    ///
    /// # Errors
    ///
    /// When there is no index of that name.
    pub fn by_index(
        &self,
        index: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = &Object<K>>, StoreError> {
        Ok(self.objects_of(self.index(index)?.keys(value)))
    }

    /// The values that a user-defined index has objects for, in order.
    ///
    /// # Errors
    ///
    /// When there is no index of that name.
    pub fn index_values(&self, index: &str) -> Result<impl Iterator<Item = &str>, StoreError> {
        Ok(self.index(index)?.values().map(|value| &**value))
    }

    /// The version the store has reached; `None` before the first complete picture.
    pub fn resource_version(&self) -> Option<&ResourceVersion> {
        self.state.version.as_ref()
    }

    /// Why the object is not up to date: its latest item could not be read.
    pub fn undecodable(&self, key: impl AsRef<str>) -> Option<&Undecodable> {
        let unreadable = self.state.unreadable.get(key.as_ref())?;
        Some(&unreadable.item)
    }

    fn index(&self, name: &str) -> Result<&Postings<Arc<str>>, StoreError> {
        self.state
            .indexes
            .get(name)
            .ok_or_else(|| StoreError::UnknownIndex(name.to_owned()))
    }

    fn objects_of<'a>(
        &'a self,
        keys: Option<impl Iterator<Item = &'a ObjectKey>>,
    ) -> impl Iterator<Item = &'a Object<K>> {
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.state.objects.get(key))
    }
}

impl<K> Clone for Snapshot<K> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<K> fmt::Debug for Snapshot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("len", &self.len())
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}
