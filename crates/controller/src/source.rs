//! Where the keys of a controller come from.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use kubewright_informer::{Event, HandlerConfig, Registration, SharedInformer};

use crate::triggers::Change;
use crate::{Enqueue, Predicate, RequestQueue, Triggers};

/// An informer whose events cause reconciles, and which of them do.
///
/// What they cause is said by the method of [`Controller`](crate::Controller) that takes the source.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_controller::{Predicate, Source};
/// use kubewright_informer::SharedInformer;
///
/// fn labelled(pods: &SharedInformer<Pod>) -> Source<Pod> {
///     Source::new(pods)
///         .when(Predicate::resource_version_changed())
///         .when(Predicate::matching(|pod| pod.label("app").is_some()))
/// }
/// ```
pub struct Source<K: 'static> {
    informer: SharedInformer<K>,
    predicate: Option<Predicate<K>>,
    handler: HandlerConfig,
}

impl<K: 'static> Source<K> {
    /// All events of `informer`.
    ///
    /// Whoever runs the informer runs it; the controller only listens and waits until it is in sync.
    pub fn new(informer: &SharedInformer<K>) -> Self {
        Self {
            informer: informer.clone(),
            predicate: None,
            handler: HandlerConfig::default(),
        }
    }

    /// Only events that `predicate` admits; more than one of them all have to.
    #[must_use]
    pub fn when(mut self, predicate: Predicate<K>) -> Self {
        self.predicate = Some(match self.predicate {
            Some(before) => before.and(predicate),
            None => predicate,
        });
        self
    }

    /// How events wait for the mapper, how often objects are shown again, and the name of the
    /// source in logs and reasons; by default the informer's name.
    ///
    /// The default mailbox joins the events of a key that wait together, down to none if the object
    /// came and went.
    /// A mapper that counts what it sees, as one with [`Expectations`](crate::Expectations) does,
    /// needs [`Mailbox::Lossless`](kubewright_informer::Mailbox::Lossless).
    #[must_use]
    pub fn handler(mut self, config: HandlerConfig) -> Self {
        self.handler = config;
        self
    }

    pub(crate) fn name(&self) -> Arc<str> {
        let name = self.handler.name.as_deref();
        Arc::from(name.unwrap_or_else(|| self.informer.name()))
    }
}

impl<K> fmt::Debug for Source<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("informer", &self.informer.name())
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

/// A [`Source`] with its mapper, without its type.
pub(crate) trait Attach: Send {
    /// Begins to listen for a controller, as the `nth` of its sources.
    fn attach(
        self: Box<Self>,
        controller: &str,
        nth: usize,
        queue: &RequestQueue,
    ) -> Result<Attached, kubewright_informer::Error>;
}

pub(crate) struct Mapped<K: 'static, M> {
    pub(crate) source: Source<K>,
    pub(crate) map: M,
}

impl<K, M> Attach for Mapped<K, M>
where
    K: Send + Sync + 'static,
    M: FnMut(&Event<K>, &Enqueue) + Send + 'static,
{
    fn attach(
        self: Box<Self>,
        controller: &str,
        nth: usize,
        queue: &RequestQueue,
    ) -> Result<Attached, kubewright_informer::Error> {
        let Self {
            mut source,
            mut map,
        } = *self;
        let predicate = source.predicate;
        let mut enqueue = Enqueue::because(queue, Triggers::default());
        let handler = move |event: Event<K>| {
            if predicate
                .as_ref()
                .is_none_or(|predicate| predicate.admits(&event))
            {
                enqueue.set_triggers(Triggers::changed(nth, Change::of(&event)));
                map(&event, &enqueue);
            }
        };
        // The informer tells its handlers apart by whom they work for.
        source
            .handler
            .name
            .get_or_insert_with(|| controller.to_owned());
        let registration = source.informer.add_handler(handler, source.handler)?;
        Ok(Attached {
            registration,
            _informer: Box::new(source.informer),
        })
    }
}

/// A source that listens. Dropping it ends that.
pub(crate) struct Attached {
    registration: Registration,
    /// Keeps a factory from stopping the informer.
    _informer: Box<dyn Send + Sync>,
}

impl Attached {
    pub(crate) fn has_synced(&self) -> bool {
        self.registration.has_synced()
    }

    /// Waits until all that was there at first has been mapped.
    pub(crate) fn synced(&self) -> BoxFuture<'_, Result<(), kubewright_informer::Error>> {
        Box::pin(self.registration.synced())
    }

    /// Ends the listening, and waits until no event is being mapped.
    pub(crate) async fn detach(self) {
        self.registration.remove().await;
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // The removal takes effect at the call; only the waiting is given up.
        drop(self.registration.remove());
    }
}
