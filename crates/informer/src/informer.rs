//! One source, one store, any number of handlers.

use std::fmt;
use std::sync::Arc;

use kubewright_cache::{DeltaFifo, ListerWatcher, Reflector, Store};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::config::{HandlerConfig, InformerConfig};
use crate::driver;
use crate::error::Error;
use crate::handler::EventHandler;
use crate::lister::Lister;
use crate::metrics::Unmetered;
use crate::progress::comes_to_be_synced;
use crate::registration::Registration;
use crate::shared::{Engine, Health, Noting, Shared};
use crate::status::InformerStatus;

/// Mirrors one collection and tells any number of handlers of its changes.
///
/// A cheap handle; clones share the informer.
/// One future drives it: [`SharedInformer::run`].
///
/// # Guarantees
///
/// - **Store first.** The store shows a change before any handler is told of it.
/// - **Once.** A handler that is added while the informer runs is told of every object that is
///   there, as [`Event::Added`](crate::Event::Added) with `Initial::Yes`, and of every change
///   after that: each exactly once, none both ways, none neither way.
/// - **Isolation.** Each handler has a task and a [`Mailbox`](crate::Mailbox) of its own.
///   A handler that is slow, stuck or panicking delays neither the store nor its siblings, with the
///   one exception that [`Mailbox::Lossless`](crate::Mailbox::Lossless) states.
/// - **Deletes arrive.** Every handler is told of deletions with the last state known, also of
///   those that only a later list revealed.
/// - **Quiet.** Updates to the same version reach only handlers that asked for resyncs.
/// - **Nothing outlives `run`.** All tasks are joined when it returns.
///
/// Answers to client-go's `SharedIndexInformer`.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_informer::{Event, HandlerConfig, InformerConfig, SharedInformer};
/// use tokio_util::sync::CancellationToken;
/// # use kubewright_cache::testing::FakeSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let source = FakeSource::new();
/// let informer = SharedInformer::<Pod>::new("pods", source, InformerConfig::default())?;
/// let registration = informer.add_handler(
///     |event: Event<Pod>| println!("{event:?}"),
///     HandlerConfig::default(),
/// )?;
///
/// let token = CancellationToken::new();
/// let use_it = async {
///     registration.synced().await?;
///     println!("{} pods", informer.store().len());
///     token.cancel();
///     Ok::<_, kubewright_informer::Error>(())
/// };
/// let (ran, used) = tokio::join!(informer.run(token.clone()), use_it);
/// ran?;
/// used?;
/// # Ok(())
/// # }
/// ```
pub struct SharedInformer<K: 'static> {
    shared: Arc<Shared<K>>,
    /// Counts those who use the informer.
    usage: Arc<Usage<K>>,
}

impl<K: DeserializeOwned + Send + Sync + 'static> SharedInformer<K> {
    /// An informer of `source`, which logs, errors and metrics call `name`.
    ///
    /// Nothing happens before [`SharedInformer::run`].
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself.
    pub fn new<L: ListerWatcher>(
        name: &str,
        source: L,
        config: InformerConfig,
    ) -> Result<Self, Error> {
        let InformerConfig {
            mut reflector,
            fifo,
            store,
            metrics,
        } = config;
        let health = Arc::new(Health::default());
        reflector.observer = Arc::new(Noting {
            health: Arc::clone(&health),
            observer: reflector.observer,
        });
        let (writer, store) = Store::new(store);
        let fifo = DeltaFifo::new(fifo);
        let reflector = Reflector::new(source, store, fifo.clone(), reflector)?;
        let engine = Engine {
            reflect: Box::new(move |token| Box::pin(reflector.run(token))),
            fifo,
            writer,
        };
        let metrics = metrics.unwrap_or_else(|| Arc::new(Unmetered));
        Ok(Self::of(Arc::new(Shared::new(
            name.into(),
            engine,
            health,
            metrics,
        ))))
    }
}

impl<K: Send + Sync + 'static> SharedInformer<K> {
    /// Adds a handler, before or after the informer is started.
    ///
    /// The same handler added twice is two handlers.
    ///
    /// # Errors
    ///
    /// When the informer has stopped.
    pub fn add_handler<H: EventHandler<K>>(
        &self,
        handler: H,
        config: HandlerConfig,
    ) -> Result<Registration, Error> {
        let subscriber = self.shared.join(handler, config)?;
        Ok(Registration::new(Arc::clone(&self.shared), subscriber))
    }

    /// Runs the informer until the token is cancelled.
    ///
    /// # How it stops
    ///
    /// In this order: the watch ends; what it had delivered and the store had not taken in is
    /// dropped; what waits in the handlers' mailboxes is dropped; each handler finishes the event
    /// in its hands; all tasks are joined.
    /// Dropping is right because nothing is lost by it that the next start does not bring again.
    /// The store stays readable, as of its last change.
    ///
    /// A handler that never finishes an event keeps this from returning: drop the future to
    /// end that.
    ///
    /// # Errors
    ///
    /// When it runs already or has run before.
    ///
    /// # Panics
    ///
    /// If the source panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the informer at once and for good; handlers are dropped at their
    /// next `await`.
    pub async fn run(&self, token: CancellationToken) -> Result<(), Error> {
        driver::run(Arc::clone(&self.shared), token).await
    }
}

impl<K> SharedInformer<K> {
    fn of(shared: Arc<Shared<K>>) -> Self {
        let usage = Arc::new(Usage::new(Arc::clone(&shared)));
        Self::from_parts(shared, usage)
    }

    pub(crate) const fn from_parts(shared: Arc<Shared<K>>, usage: Arc<Usage<K>>) -> Self {
        Self { shared, usage }
    }

    pub(crate) const fn parts(&self) -> (&Arc<Shared<K>>, &Arc<Usage<K>>) {
        (&self.shared, &self.usage)
    }

    /// The informer's name.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// What the informer mirrors.
    ///
    /// Unlike the informer and its listers, the store does not count as a user where a factory
    /// counts them: it stays readable when its informer is stopped, but it moves no more.
    pub fn store(&self) -> &Store<K> {
        self.shared.store()
    }

    /// Reads of the store by selector, namespace and name.
    pub fn lister(&self) -> Lister<K> {
        Lister::new(self.clone())
    }

    /// Whether the store holds a complete picture.
    ///
    /// Handlers may have yet to hear of it: see
    /// [`Registration::has_synced`](crate::Registration::has_synced).
    /// Once true it stays true.
    pub fn has_synced(&self) -> bool {
        self.shared.has_synced()
    }

    /// Waits until [`SharedInformer::has_synced`].
    ///
    /// # Errors
    ///
    /// When the informer stopped before that.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn synced(&self) -> Result<(), Error> {
        if comes_to_be_synced(self.shared.progress()).await {
            Ok(())
        } else {
            Err(self.shared.stopped())
        }
    }

    /// The informer and its handlers at this moment.
    pub fn status(&self) -> InformerStatus {
        self.shared.status()
    }

    /// Tells the gauges to [`InformerConfig::metrics`], as of now.
    pub fn report(&self) {
        let status = self.status();
        let metrics = self.shared.metrics();
        metrics.store_size(status.objects);
        for handler in &status.handlers {
            metrics.pending(&handler.name, handler.pending);
        }
        if let Some(age) = status.last_event_age {
            metrics.last_event_age(age);
        }
    }
}

impl<K> Clone for SharedInformer<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            usage: Arc::clone(&self.usage),
        }
    }
}

impl<K> fmt::Debug for SharedInformer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedInformer")
            .field(&self.status())
            .finish()
    }
}

/// Shared by all handles and listers of an informer; dropped with the last of them.
pub(crate) struct Usage<K: 'static>(Arc<Shared<K>>);

impl<K> Usage<K> {
    pub(crate) const fn new(shared: Arc<Shared<K>>) -> Self {
        Self(shared)
    }
}

impl<K> Drop for Usage<K> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
