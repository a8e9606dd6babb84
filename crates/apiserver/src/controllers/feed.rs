//! Every change of every resource, in the order of their commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use crate::core::Core;
use crate::registry::Resources;
use crate::resource::{Resource, StorageId};
use crate::store::{Change, Cursor, Event, TooOld};

/// A change and the resource that it is of.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) resource: Arc<Resource>,
    pub(super) revision: u64,
    pub(super) change: Change,
}

/// What a [`Feed`] has to tell.
pub(super) enum News {
    /// Other resources are served than before.
    Resources(Arc<Resources>),
    Changes(Vec<Seen>),
}

/// A reader of all changes: first of the state there is, as objects that were added, then of what happens to it.
///
/// Invariant: what was told is all that was committed up to `told`. Whoever knows of an object
/// thus knows of all objects that were there when it was written, whatever their kind.
#[derive(Debug)]
pub(super) struct Feed {
    core: Arc<Core>,
    resources: Option<Arc<Resources>>,
    sources: BTreeMap<StorageId, Source>,
    /// The objects of resources that are new, to be told.
    adopted: Vec<Seen>,
    /// The revision up to which everything has been told.
    told: u64,
    head: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Source {
    resource: Arc<Resource>,
    cursor: Cursor,
    /// Read already, but committed after what was told.
    held: VecDeque<Arc<Event>>,
    /// Whether the resource is served no more.
    over: bool,
}

impl Feed {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let head = core.store.head();
        Self {
            core,
            resources: None,
            sources: BTreeMap::new(),
            adopted: Vec::new(),
            told: 0,
            head,
        }
    }

    /// What is new since the last call, if anything is.
    ///
    /// # Errors
    ///
    /// If changes were forgotten before they were read: then a new feed is needed.
    pub(super) fn news(&mut self) -> Result<Option<News>, TooOld> {
        let resources = self.core.registry.resources();
        if !matches!(&self.resources, Some(known) if Arc::ptr_eq(known, &resources)) {
            self.adopt(&resources);
            self.resources = Some(Arc::clone(&resources));
            return Ok(Some(News::Resources(resources)));
        }
        let revision = self.core.store.revision();
        if revision == self.told && self.adopted.is_empty() {
            return Ok(None);
        }
        let mut seen = std::mem::take(&mut self.adopted);
        for source in self.sources.values_mut() {
            match source.cursor.read(usize::MAX) {
                Ok(events) => source.held.extend(events),
                Err(_) if source.cursor.is_over() => source.over = true,
                Err(too_old) => return Err(too_old),
            }
            while source
                .held
                .front()
                .is_some_and(|event| event.revision <= revision)
                && let Some(event) = source.held.pop_front()
            {
                seen.push(Seen {
                    resource: Arc::clone(&source.resource),
                    revision: event.revision,
                    change: event.change.clone(),
                });
            }
        }
        let before = self.sources.len();
        self.sources
            .retain(|_, source| !source.over || !source.held.is_empty());
        if self.sources.len() < before {
            // A resource of the same name may be served again, and begins anew then.
            self.resources = None;
        }
        seen.sort_by_key(|seen| seen.revision);
        self.told = revision;
        Ok(Some(News::Changes(seen)))
    }

    /// Begins to follow resources that are new.
    ///
    /// Resources that are served no more are followed until all that happened to them was told.
    fn adopt(&mut self, resources: &Resources) {
        for resource in resources.iter() {
            if !resource.has_verb("list") || self.sources.contains_key(&resource.storage) {
                continue;
            }
            let (snapshot, cursor) = self.core.store.follow(&resource.storage);
            let objects = snapshot.range(None, None).map(|object| Seen {
                resource: Arc::clone(resource),
                revision: object.revision(),
                change: Change::Added(Arc::clone(object)),
            });
            self.adopted.extend(objects);
            let source = Source {
                resource: Arc::clone(resource),
                cursor,
                held: VecDeque::new(),
                over: false,
            };
            self.sources.insert(resource.storage.clone(), source);
        }
    }

    /// Waits until something was committed after what was told.
    ///
    /// Cancel safe: nothing is read here.
    pub(super) async fn changed(&mut self) {
        let told = self.told;
        if self.head.wait_for(|head| *head > told).await.is_err() {
            // The sender lives in the store, which this feed holds.
            std::future::pending::<()>().await;
        }
    }
}
