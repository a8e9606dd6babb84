//! The objects of one resource at one moment.

use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::store::log::Event;
use crate::store::{Key, Stored};

/// The objects of one resource at one resource version. Cheap to clone, never changes.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(super) revision: u64,
    pub(super) objects: RedBlackTreeMapSync<Key, Arc<Stored>>,
}

impl Snapshot {
    /// The resource version up to which every change of the resource is in here, and none after it.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// The objects of a namespace, or of all, in order; those at `from` and after it.
    pub(crate) fn range<'a>(
        &'a self,
        namespace: Option<&str>,
        from: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
        let prefix = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        let start = match from {
            Some(from) if from > prefix.as_str() => from,
            _ => prefix.as_str(),
        };
        let range = (Bound::Included(Key::at(start)), Bound::<Key>::Unbounded);
        self.objects
            .range::<Key, _>(range)
            .map(|(_, stored)| stored)
            .take_while(move |stored| stored.key().as_str().starts_with(&prefix))
    }

    /// Takes back a change, the newest first.
    pub(super) fn undo(&mut self, event: &Event) {
        if let Some(before) = event.change.before() {
            self.objects
                .insert_mut(before.key().clone(), Arc::clone(before));
        } else if let Some(after) = event.change.after() {
            self.objects.remove_mut(after.key());
        }
    }
}
