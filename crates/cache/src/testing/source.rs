use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::collection::{Collection, Told};
use super::watch::FakeWatch;
use crate::key::ObjectKey;
use crate::source::{
    InitialEvents, ListOptions, ListerWatcher, Page, PageSink, SourceError, WatchEvent,
    WatchOptions,
};
use crate::version::ResourceVersion;

/// A collection in memory that is listed and watched.
///
/// A cheap handle: tests keep one to change the collection, and give another to a reflector.
///
/// # What it does as an API server does
///
/// - Every change has the next version; lists and bookmarks have the latest.
/// - A watch from a version first brings what happened since, or fails with
///   [`SourceError::Expired`] if that is forgotten ([`FakeSource::compact`]).
/// - A list at `0` or at a version is answered whole, as from a cache; the most recent state comes
///   in pages where a limit asks for them.
/// - A watch is closed when its timeout is over, under tokio's clock.
///
/// # What it does as none does
///
/// A list of a collection that never changed is at version 0, and a watch from there replays the
/// state: what was deleted between the two is not told. Where that matters, put something in first.
///
/// # Example
///
/// ```
/// use kubewright_cache::testing::FakeSource;
/// use serde_json::json;
///
/// let source = FakeSource::new();
/// let version = source.apply(json!({"metadata": {"namespace": "default", "name": "a"}}));
/// assert_eq!(version, "1");
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeSource {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    collection: Collection,
    seen: Vec<Seen>,
    lists: VecDeque<Answer>,
    watches: VecDeque<Answer>,
    /// The rest of lists that were answered in part, by continue token.
    pages: HashMap<String, Rest>,
    uncached: bool,
    expired_by_status: bool,
    stalled: bool,
    no_streaming: Option<Refusal>,
}

#[derive(Debug)]
struct Rest {
    items: VecDeque<Vec<u8>>,
    version: u64,
}

#[derive(Clone, Copy, Debug)]
enum Refusal {
    Told,
    Silent,
}

/// An answer that the next request gets instead of its own.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The request fails.
    Fail(SourceError),
    /// The request is never answered.
    Hang,
    /// The request is answered as always.
    Serve,
}

/// A request as the source has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A page was asked for.
    List(ListOptions),
    /// A watch was asked for.
    Watch(WatchOptions),
}

/// A request, and when it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// When, by tokio's clock.
    pub at: Instant,
    /// What was asked for.
    pub request: Request,
}

impl FakeSource {
    /// An empty collection at version 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates or updates an object, given as JSON, and returns its version.
    ///
    /// It gets the next version, and keeps its uid or gets a new one unless it brings one.
    ///
    /// # Panics
    ///
    /// When the object has no name.
    pub fn apply(&self, object: Value) -> ResourceVersion {
        self.inner.lock().collection.apply(object, Told::Yes)
    }

    /// Creates or updates a typed object; see [`FakeSource::apply`].
    ///
    /// # Panics
    ///
    /// When the object does not serialise, or has no name.
    pub fn apply_typed(&self, object: &impl Serialize) -> ResourceVersion {
        self.apply(serde_json::to_value(object).expect("a test's object serialises"))
    }

    /// Puts any text in the place of an object, as a change; it may be unreadable.
    pub fn apply_raw(&self, key: &ObjectKey, json: impl AsRef<[u8]>) -> ResourceVersion {
        self.inner.lock().collection.apply_raw(key, json.as_ref())
    }

    /// Deletes an object; `None` if there is none.
    pub fn delete(&self, key: &ObjectKey) -> Option<ResourceVersion> {
        self.inner.lock().collection.delete(key, Told::Yes)
    }

    /// Creates or updates an object without telling those who watch, now or later.
    ///
    /// # Panics
    ///
    /// When the object has no name.
    pub fn apply_unseen(&self, object: Value) -> ResourceVersion {
        self.inner.lock().collection.apply(object, Told::No)
    }

    /// Deletes an object without telling those who watch, now or later.
    pub fn delete_unseen(&self, key: &ObjectKey) -> Option<ResourceVersion> {
        self.inner.lock().collection.delete(key, Told::No)
    }

    /// The version of the latest change.
    pub fn version(&self) -> ResourceVersion {
        ResourceVersion::from(self.inner.lock().collection.version)
    }

    /// Moves on to a version, as changes elsewhere in the server do.
    pub fn advance_to(&self, version: u64) {
        let collection = &mut self.inner.lock().collection;
        collection.version = collection.version.max(version);
    }

    /// Sends a bookmark of the latest version to all who watch.
    pub fn bookmark(&self) {
        let collection = &mut self.inner.lock().collection;
        let resource_version = ResourceVersion::from(collection.version);
        collection.broadcast(|| {
            Ok(WatchEvent::Bookmark {
                resource_version: resource_version.clone(),
                ends_initial_events: false,
            })
        });
    }

    /// Sends any event to all who watch; it changes nothing here.
    pub fn emit(&self, event: impl Fn() -> WatchEvent) {
        self.inner.lock().collection.broadcast(|| Ok(event()));
    }

    /// Forgets the history: watches from before now fail.
    pub fn compact(&self) {
        self.inner.lock().collection.compact();
    }

    /// Closes all watches as a server does.
    pub fn end_watches(&self) {
        self.inner.lock().collection.hang_up();
    }

    /// Ends all watches with an error.
    pub fn fail_watches(&self, error: impl Fn() -> SourceError) {
        let collection = &mut self.inner.lock().collection;
        collection.broadcast(|| Err(error()));
        collection.hang_up();
    }

    /// How many watches are open.
    pub fn open_watches(&self) -> usize {
        self.inner.lock().collection.watchers()
    }

    /// Answers the next list that has no answer yet.
    pub fn answer_list(&self, answer: Answer) {
        self.inner.lock().lists.push_back(answer);
    }

    /// Answers the next watch that has no answer yet.
    pub fn answer_watch(&self, answer: Answer) {
        self.inner.lock().watches.push_back(answer);
    }

    /// The requests so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.lock().seen.clone()
    }

    /// The lists asked for so far, oldest first.
    pub fn lists(&self) -> Vec<ListOptions> {
        let list = |seen: Seen| match seen.request {
            Request::List(options) => Some(options),
            Request::Watch(_) => None,
        };
        self.seen().into_iter().filter_map(list).collect()
    }

    /// The watches asked for so far, oldest first.
    pub fn watches(&self) -> Vec<WatchOptions> {
        let watch = |seen: Seen| match seen.request {
            Request::Watch(options) => Some(options),
            Request::List(_) => None,
        };
        self.seen().into_iter().filter_map(watch).collect()
    }

    /// From now on there is no cache: every list honours its limit.
    pub fn without_cache(self) -> Self {
        self.inner.lock().uncached = true;
        self
    }

    /// From now on a watch from a forgotten version fails when it is opened, as behind some
    /// proxies and aggregated servers, not in its stream.
    pub fn expired_by_status(self) -> Self {
        self.inner.lock().expired_by_status = true;
        self
    }

    /// From now on streaming lists are refused.
    pub fn refusing_streaming(self) -> Self {
        self.inner.lock().no_streaming = Some(Refusal::Told);
        self
    }

    /// From now on streaming lists are taken for plain watches: no bookmark ends them.
    pub fn ignoring_streaming(self) -> Self {
        self.inner.lock().no_streaming = Some(Refusal::Silent);
        self
    }

    /// From now on watches are not closed when their timeout is over, as if the connection were
    /// dead.
    pub fn stall(&self) {
        self.inner.lock().stalled = true;
    }

    /// Forgets what later pages would be taken from: their continue tokens have expired.
    pub fn expire_continue_tokens(&self) {
        self.inner.lock().pages.clear();
    }
}

impl Inner {
    fn see(&mut self, request: Request) {
        self.seen.push(Seen {
            at: Instant::now(),
            request,
        });
    }

    fn page(
        &mut self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let mut rest = match &options.continue_token {
            Some(token) => self.pages.remove(token).ok_or_else(expired)?,
            None => {
                self.reached(&options.resource_version)?;
                Rest {
                    items: self.collection.objects.values().cloned().collect(),
                    version: self.collection.version,
                }
            }
        };
        let cached = !self.uncached
            && options.continue_token.is_none()
            && !options.resource_version.is_empty();
        let limit = match options.limit {
            Some(limit) if !cached || options.resource_version.is_concrete() => limit as usize,
            _ => usize::MAX,
        };
        for json in rest.items.drain(..limit.min(rest.items.len())) {
            items.json(&json);
        }
        let page = Page::last(ResourceVersion::from(rest.version));
        if rest.items.is_empty() {
            return Ok(page);
        }
        let token = format!("page-{}", self.seen.len());
        self.pages.insert(token.clone(), rest);
        Ok(page.with_more(token))
    }

    fn watch(&mut self, options: &WatchOptions) -> Result<FakeWatch, SourceError> {
        let version = number(&options.resource_version);
        let (sender, receiver) = mpsc::unbounded_channel();
        let collection = &mut self.collection;
        if options.initial_events == InitialEvents::Sent {
            match self.no_streaming {
                Some(Refusal::Told) => {
                    return Err(SourceError::Invalid {
                        message: "sendInitialEvents is forbidden".into(),
                    });
                }
                Some(Refusal::Silent) => collection.watch_all(sender, None),
                None => {
                    self.reached(&options.resource_version)?;
                    let end = WatchEvent::Bookmark {
                        resource_version: ResourceVersion::from(self.collection.version),
                        ends_initial_events: true,
                    };
                    self.collection.watch_all(sender, Some(end));
                }
            }
        } else if !options.resource_version.is_concrete() {
            collection.watch_all(sender, None);
        } else if version < collection.compacted {
            if self.expired_by_status {
                return Err(expired());
            }
            // Nobody is left to send anything else.
            drop(sender.send(Err(expired())));
        } else {
            collection.watch_from(version, sender);
        }
        let timeout = options.timeout.filter(|_| !self.stalled);
        Ok(FakeWatch::new(
            receiver,
            timeout.map(|timeout| Box::pin(sleep(timeout))),
        ))
    }

    /// A version that is not there yet cannot be served.
    fn reached(&self, version: &ResourceVersion) -> Result<(), SourceError> {
        if number(version) > self.collection.version {
            return Err(SourceError::ResourceVersionTooLarge {
                message: format!("Too large resource version: {version}"),
            });
        }
        Ok(())
    }
}

impl ListerWatcher for FakeSource {
    type Watch = FakeWatch;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let answer = {
            let mut inner = self.inner.lock();
            inner.see(Request::List(options.clone()));
            inner.lists.pop_front()
        };
        match answer {
            Some(Answer::Fail(error)) => Err(error),
            Some(Answer::Hang) => std::future::pending().await,
            Some(Answer::Serve) | None => self.inner.lock().page(options, items),
        }
    }

    async fn watch(&self, options: &WatchOptions) -> Result<FakeWatch, SourceError> {
        let answer = {
            let mut inner = self.inner.lock();
            inner.see(Request::Watch(options.clone()));
            inner.watches.pop_front()
        };
        match answer {
            Some(Answer::Fail(error)) => Err(error),
            Some(Answer::Hang) => std::future::pending().await,
            Some(Answer::Serve) | None => self.inner.lock().watch(options),
        }
    }
}

fn number(version: &ResourceVersion) -> u64 {
    version.to_string().parse().unwrap_or(0)
}

fn expired() -> SourceError {
    SourceError::Expired {
        message: "the server no longer has this version".into(),
    }
}
