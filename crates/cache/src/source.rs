mod error;
mod options;
mod transform;

use std::fmt;

use futures::Stream;

pub use error::SourceError;
pub use options::{InitialEvents, ListOptions, VersionMatch, WatchOptions};
pub use transform::{Transformed, TransformedWatch};

use crate::key::ObjectKey;
use crate::object::EncodedObject;
use crate::scan::{self, ScanError, Scanned};
use crate::version::ResourceVersion;

/// Where a reflector gets a collection from: one that can be listed and watched.
///
/// [`KubeListerWatcher`](crate::KubeListerWatcher) asks an API server; the `testing` feature
/// has one in memory.
///
/// # Guarantees an implementation gives
///
/// - An item that cannot be read is passed on as [`Undecodable`] and ends neither list nor watch.
/// - A failed list may have delivered some of its items; the caller forgets them.
/// - Both methods, and the stream, stop at once when dropped.
///
/// # Retries
///
/// The reflector decides when to ask again. An implementation does not retry by itself, or
/// failures hide and delays add up.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source of objects",
    note = "use `KubeListerWatcher` for a cluster, or implement `ListerWatcher`"
)]
pub trait ListerWatcher: Send + Sync + 'static {
    /// An open watch.
    type Watch: Stream<Item = Result<WatchEvent, SourceError>> + Send + Unpin;

    /// Fetches one page, handing each item to `items` as it arrives.
    ///
    /// Items are borrowed, so that one the store has already need not be copied.
    fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send;

    /// Opens a watch; the stream ends when the server closes it.
    fn watch(
        &self,
        options: &WatchOptions,
    ) -> impl Future<Output = Result<Self::Watch, SourceError>> + Send;
}

/// Takes in the items of a page while it is being fetched.
pub trait PageSink: Send {
    /// One item.
    fn item(&mut self, item: &Scanned<'_>);

    /// One item that could not be read.
    fn undecodable(&mut self, item: Undecodable);

    /// One item given as its JSON.
    fn json(&mut self, json: &[u8]) {
        match scan::object(json) {
            Ok(item) => self.item(&item),
            Err(error) => self.undecodable(Undecodable::unreadable(error)),
        }
    }
}

/// What a page says besides its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The version of the whole collection.
    pub resource_version: ResourceVersion,
    /// Where the next page begins; `None` after the last.
    pub continue_token: Option<String>,
    /// About how many items are left, if the server says so.
    pub remaining_item_count: Option<u64>,
}

impl Page {
    /// The only page of a collection.
    pub fn last(resource_version: ResourceVersion) -> Self {
        Self {
            resource_version,
            ..Self::default()
        }
    }

    /// A page with more to follow.
    pub fn with_more(mut self, continue_token: impl Into<String>) -> Self {
        self.continue_token = Some(continue_token.into());
        self
    }
}

/// What an open watch delivers.
///
/// A server's `ERROR` event is the stream's `Err`.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// An object came to be, or is told of for the first time.
    Added(EncodedObject),
    /// An object changed.
    Modified(EncodedObject),
    /// An object went away; this is its last state.
    Deleted(EncodedObject),
    /// Nothing changed up to this version.
    Bookmark {
        /// The version reached.
        resource_version: ResourceVersion,
        /// Whether the initial events of a streaming list are complete with this.
        ends_initial_events: bool,
    },
    /// Something changed, but the event cannot be read.
    Undecodable(Undecodable),
}

/// The kinds of change a watch event can tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// An object came to be, or is told of for the first time.
    Added,
    /// An object changed.
    Modified,
    /// An object went away.
    Deleted,
}

impl WatchEvent {
    /// The event that tells of a change to a scanned object; `Undecodable` if that is unusable.
    pub fn scanned(kind: EventKind, object: &Scanned<'_>) -> Self {
        match object.encode() {
            Ok(object) => match kind {
                EventKind::Added => Self::Added(object),
                EventKind::Modified => Self::Modified(object),
                EventKind::Deleted => Self::Deleted(object),
            },
            Err(error) => Self::Undecodable(Undecodable {
                deleted: kind == EventKind::Deleted,
                ..Undecodable::scanned(object, error)
            }),
        }
    }
}

/// An item of a list or a watch that cannot be read.
///
/// # What becomes of its object
///
/// If the object was known, its last readable state stays in the store, marked, until a readable
/// one arrives or it is deleted. A body that does not decode as its type is no such item: only
/// metadata is read here, and [`Object::get`](crate::Object::get) tells of the body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Undecodable {
    /// The object concerned, if that much could be read.
    pub key: Option<ObjectKey>,
    /// The version of the item, if that much could be read; the store moves on to it.
    pub resource_version: Option<ResourceVersion>,
    /// Whether the item said that the object is gone.
    pub deleted: bool,
    /// What is wrong with it.
    pub error: ScanError,
}

impl Undecodable {
    /// An item of which nothing could be read.
    pub const fn unreadable(error: ScanError) -> Self {
        Self {
            key: None,
            resource_version: None,
            deleted: false,
            error,
        }
    }

    /// An item that was scanned and turned out not to be usable.
    pub fn scanned(item: &Scanned<'_>, error: ScanError) -> Self {
        Self {
            key: item.key().ok(),
            resource_version: item
                .resource_version()
                .ok()
                .filter(ResourceVersion::is_concrete),
            deleted: false,
            error,
        }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}")?,
            None => f.write_str("an object without a readable key")?,
        }
        if let Some(version) = &self.resource_version {
            write!(f, " at version {version}")?;
        }
        write!(f, ": {}", self.error)
    }
}
