//! User code that is told of changes.

use std::fmt;
use std::future::ready;

use kubewright_cache::Event;

/// Is told of every change of an informer's store, one event at a time.
///
/// A closure `FnMut(Event<K>)` is a handler; [`async_handler`] makes one of a closure that returns
/// a future.
/// Implement the trait for a type where the handler has state worth naming.
///
/// # Guarantees
///
/// - Events of one handler never overlap: the next is handed over when the future of the last
///   is done.
/// - The store shows the outcome of an event, or a later state, before the handler is told.
/// - A panic costs the event that caused it and nothing else: it is logged, counted, and the next
///   event is handed over.
///   The handler is not rebuilt, so it should leave its own state usable.
///
/// # Assumptions
///
/// The handler runs on a tokio worker thread: work that blocks for long belongs into
/// `spawn_blocking`, or behind a queue.
///
/// # Example
///
/// ```
/// use kubewright_cache::Event;
/// use kubewright_informer::EventHandler;
///
/// #[derive(Default)]
/// struct Census {
///     population: usize,
/// }
///
/// impl<K: Send + Sync + 'static> EventHandler<K> for Census {
///     async fn handle(&mut self, event: Event<K>) {
///         match event {
///             Event::Added { .. } => self.population += 1,
///             Event::Updated { .. } => {}
///             Event::Deleted { .. } => self.population -= 1,
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle events of `{K}`",
    label = "expected a handler of `Event<{K}>`",
    note = "a closure needs its argument's type, as in `|event: Event<{K}>| ...`",
    note = "wrap a closure that returns a future in `async_handler(...)`"
)]
pub trait EventHandler<K>: Send + 'static {
    /// Handles one event.
    ///
    /// The future is dropped unfinished only if the informer's `run` future is itself dropped.
    fn handle(&mut self, event: Event<K>) -> impl Future<Output = ()> + Send;
}

impl<K, F> EventHandler<K> for F
where
    F: FnMut(Event<K>) + Send + 'static,
{
    fn handle(&mut self, event: Event<K>) -> impl Future<Output = ()> + Send {
        self(event);
        ready(())
    }
}

/// Makes a handler of a closure that returns a future.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_informer::{Event, async_handler};
///
/// let (sender, _receiver) = tokio::sync::mpsc::channel(16);
/// let handler = async_handler(move |event: Event<Pod>| {
///     let sender = sender.clone();
///     async move {
///         let _ = sender.send(event.key().clone()).await;
///     }
/// });
/// # fn is_handler(_: impl kubewright_informer::EventHandler<Pod>) {}
/// # is_handler(handler);
/// ```
pub const fn async_handler<F>(function: F) -> AsyncHandler<F> {
    AsyncHandler { function }
}

/// A handler made by [`async_handler`].
#[derive(Clone, Copy)]
pub struct AsyncHandler<F> {
    function: F,
}

impl<K, F, Fut> EventHandler<K> for AsyncHandler<F>
where
    F: FnMut(Event<K>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    fn handle(&mut self, event: Event<K>) -> impl Future<Output = ()> + Send {
        (self.function)(event)
    }
}

impl<F> fmt::Debug for AsyncHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncHandler").finish_non_exhaustive()
    }
}
