//! A handler's place in an informer.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::progress::comes_to_be_synced;
use crate::shared::Shared;
use crate::status::HandlerStatus;
use crate::subscriber::Subscriber;

/// A handler's place in an informer, to ask about it and to end it.
///
/// Cheap to clone.
/// Dropping it leaves the handler where it is.
#[derive(Clone)]
pub struct Registration {
    place: Arc<dyn Place>,
}

impl Registration {
    pub(crate) fn new<K: Send + Sync + 'static>(
        shared: Arc<Shared<K>>,
        subscriber: Arc<Subscriber<K>>,
    ) -> Self {
        Self {
            place: Arc::new(Member { shared, subscriber }),
        }
    }

    /// The handler's name.
    pub fn name(&self) -> &str {
        self.place.name()
    }

    /// Whether the handler is up to date with what the informer began with: the store has been
    /// filled, and this handler has *handled* every initial addition, not merely been sent it.
    ///
    /// An addition whose handling panicked counts as handled, so it does not keep the handler
    /// from being in sync, as it does in client-go.
    /// Once true it stays true.
    pub fn has_synced(&self) -> bool {
        self.place.status().has_synced
    }

    /// Waits until [`Registration::has_synced`].
    ///
    /// # Errors
    ///
    /// When the handler was removed, or the informer stopped, before that.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn synced(&self) -> Result<(), Error> {
        self.place.synced().await
    }

    /// Removes the handler; the future waits until it is idle.
    ///
    /// # Guarantees
    ///
    /// - The removal takes effect at the call: what waits for the handler is dropped and nothing
    ///   more is handed over.
    ///   An event that is being handled is handled to its end.
    /// - When the future is done, the handler has been dropped and none of its code runs.
    /// - Idempotent, also after the informer stopped.
    ///
    /// # From inside the handler
    ///
    /// A handler may remove itself: the future is then done at once instead of waiting for the
    /// very event that waits for it.
    /// The event is handled to its end, and none follows.
    /// This is seen only on the handler's own task; a task that the handler made, and waits for,
    /// must not wait for the removal.
    /// Nor must two handlers each wait for the other's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the waiting, not the removal.
    pub fn remove(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let idle = self.place.leave();
        async move {
            if let Some(gone) = idle {
                gone.cancelled().await;
            }
        }
    }

    /// The handler at this moment.
    pub fn status(&self) -> HandlerStatus {
        self.place.status()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.status()).finish()
    }
}

/// A [`Member`] without its type.
trait Place: Send + Sync {
    fn name(&self) -> &str;
    fn status(&self) -> HandlerStatus;
    fn synced(&self) -> futures::future::BoxFuture<'_, Result<(), Error>>;
    /// Says what tells that the handler is idle, unless the caller would wait for itself.
    fn leave(&self) -> Option<CancellationToken>;
}

struct Member<K: 'static> {
    shared: Arc<Shared<K>>,
    subscriber: Arc<Subscriber<K>>,
}

impl<K: Send + Sync + 'static> Place for Member<K> {
    fn name(&self) -> &str {
        self.subscriber.name()
    }

    fn status(&self) -> HandlerStatus {
        self.subscriber.status()
    }

    fn synced(&self) -> futures::future::BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            if comes_to_be_synced(self.subscriber.progress()).await {
                return Ok(());
            }
            Err(Error::HandlerGone {
                handler: Arc::clone(self.subscriber.name()),
            })
        })
    }

    fn leave(&self) -> Option<CancellationToken> {
        self.shared.leave(&self.subscriber);
        (!self.subscriber.is_current()).then(|| self.subscriber.gone().clone())
    }
}
