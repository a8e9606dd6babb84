use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use serde_json::Value;

use super::{
    ListOptions, ListerWatcher, Page, PageSink, SourceError, Undecodable, WatchEvent, WatchOptions,
};
use crate::object::EncodedObject;
use crate::scan::{ScanError, Scanned};

type Transform = dyn Fn(&mut Value) + Send + Sync;

/// A source whose objects are changed before anybody keeps or sees them, to leave out what nobody
/// looks at, say.
///
/// # Guarantees
///
/// - Each object is changed once whenever it arrives, by a list, by a watch, or as the last state
///   of a deletion. What is made up here, such as a deletion that a list revealed, carries what
///   was changed before.
/// - One that is no object afterwards is an [`Undecodable`], like one that was none before.
///
/// # Assumptions
///
/// The outcome depends on the object alone, and leaves its name, namespace, uid and version as
/// they are.
///
/// # Costs
///
/// Every object is parsed and written anew, also those of a list that did not change.
/// `managedFields` are left out without any of this.
///
/// Answers to client-go's `SetTransform`.
///
/// # Example
///
/// ```
/// use kubewright_cache::{ListerWatcher, Transformed};
///
/// fn without_status(source: impl ListerWatcher) -> impl ListerWatcher {
///     Transformed::new(source, |object| {
///         if let Some(members) = object.as_object_mut() {
///             members.remove("status");
///         }
///     })
/// }
/// ```
#[derive(Clone)]
pub struct Transformed<L> {
    source: L,
    transform: Arc<Transform>,
}

impl<L> Transformed<L> {
    /// What `source` has, changed by `transform`.
    pub fn new(source: L, transform: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self {
            source,
            transform: Arc::new(transform),
        }
    }
}

impl<L: ListerWatcher> ListerWatcher for Transformed<L> {
    type Watch = TransformedWatch<L::Watch>;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let transform = &*self.transform;
        self.source
            .list(options, &mut Sink { items, transform })
            .await
    }

    async fn watch(&self, options: &WatchOptions) -> Result<Self::Watch, SourceError> {
        Ok(TransformedWatch {
            events: self.source.watch(options).await?,
            transform: Arc::clone(&self.transform),
        })
    }
}

impl<L: fmt::Debug> fmt::Debug for Transformed<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transformed").field(&self.source).finish()
    }
}

/// The open watch of a [`Transformed`].
pub struct TransformedWatch<W> {
    events: W,
    transform: Arc<Transform>,
}

impl<W> Stream for TransformedWatch<W>
where
    W: Stream<Item = Result<WatchEvent, SourceError>> + Unpin,
{
    type Item = Result<WatchEvent, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.events.poll_next_unpin(cx);
        event.map(|event| event.map(|event| event.map(|event| changed(event, &*self.transform))))
    }
}

impl<W> fmt::Debug for TransformedWatch<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformedWatch").finish_non_exhaustive()
    }
}

/// Changes items on their way to another.
struct Sink<'a> {
    items: &'a mut dyn PageSink,
    transform: &'a Transform,
}

impl PageSink for Sink<'_> {
    fn item(&mut self, item: &Scanned<'_>) {
        match json(item.source(), self.transform) {
            Ok(json) => self.items.json(&json),
            Err(error) => self.items.undecodable(Undecodable::scanned(item, error)),
        }
    }

    fn undecodable(&mut self, item: Undecodable) {
        self.items.undecodable(item);
    }
}

fn changed(event: WatchEvent, transform: &Transform) -> WatchEvent {
    let (object, kind): (_, fn(_) -> _) = match event {
        WatchEvent::Added(object) => (object, WatchEvent::Added),
        WatchEvent::Modified(object) => (object, WatchEvent::Modified),
        WatchEvent::Deleted(object) => (object, WatchEvent::Deleted),
        other => return other,
    };
    let outcome =
        json(object.body().as_bytes(), transform).and_then(|json| EncodedObject::from_json(&json));
    match outcome {
        Ok(changed) => kind(changed),
        Err(error) => {
            let meta = object.meta();
            let version = meta.resource_version();
            WatchEvent::Undecodable(Undecodable {
                key: Some(meta.key().clone()),
                resource_version: version.is_concrete().then(|| version.clone()),
                deleted: matches!(kind(object), WatchEvent::Deleted(_)),
                error,
            })
        }
    }
}

/// The text of an object, changed.
fn json(text: &[u8], transform: &Transform) -> Result<Vec<u8>, ScanError> {
    let invalid = |_| ScanError::invalid(0, "an object that does not parse");
    let mut object = serde_json::from_slice(text).map_err(invalid)?;
    transform(&mut object);
    serde_json::to_vec(&object).map_err(invalid)
}
