//! An informer as its factory keeps it.

use std::any::Any;
use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::driver;
use crate::error::{Error, Unsynced};
use crate::informer::{SharedInformer, Usage};
use crate::progress::comes_to_be_synced;
use crate::shared::Shared;
use crate::status::InformerStatus;

/// An informer whose users are counted.
pub(super) struct Kept<K: 'static> {
    shared: Arc<Shared<K>>,
    /// What all handles and listers share; dead once there is none.
    usage: Mutex<Weak<Usage<K>>>,
}

/// A [`Kept`] without its type.
pub(super) trait Entry: Any + Send + Sync {
    fn name(&self) -> &Arc<str>;
    /// Whether somebody has a handle, a lister or a handler.
    fn is_used(&self) -> bool;
    /// Waits until that may have changed.
    fn abandoned(&self) -> BoxFuture<'_, ()>;
    fn run(self: Arc<Self>, token: CancellationToken) -> BoxFuture<'static, Result<(), Error>>;
    /// Ends it without ever running it.
    fn stop(&self);
    /// Whether it comes to be in sync before it ends.
    fn comes_to_be_synced(&self) -> BoxFuture<'static, bool>;
    fn has_synced(&self) -> bool;
    fn unsynced(&self) -> Unsynced;
    fn status(&self) -> InformerStatus;
}

impl<K: Send + Sync + 'static> Kept<K> {
    /// Keeps an informer that the caller goes on using.
    pub(super) fn new(informer: &SharedInformer<K>) -> Self {
        let (shared, usage) = informer.parts();
        Self {
            shared: Arc::clone(shared),
            usage: Mutex::new(Arc::downgrade(usage)),
        }
    }

    /// A handle for one more user.
    pub(super) fn informer(&self) -> SharedInformer<K> {
        let mut usage = self.usage.lock();
        let usage = usage.upgrade().unwrap_or_else(|| {
            let revived = Arc::new(Usage::new(Arc::clone(&self.shared)));
            *usage = Arc::downgrade(&revived);
            revived
        });
        SharedInformer::from_parts(Arc::clone(&self.shared), usage)
    }
}

impl<K: Send + Sync + 'static> Entry for Kept<K> {
    fn name(&self) -> &Arc<str> {
        self.shared.name()
    }

    fn is_used(&self) -> bool {
        self.usage.lock().strong_count() > 0 || self.shared.has_handlers()
    }

    fn abandoned(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.abandoned())
    }

    fn run(self: Arc<Self>, token: CancellationToken) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(driver::run(Arc::clone(&self.shared), token))
    }

    fn stop(&self) {
        self.shared.stop();
    }

    fn comes_to_be_synced(&self) -> BoxFuture<'static, bool> {
        Box::pin(comes_to_be_synced(self.shared.progress()))
    }

    fn has_synced(&self) -> bool {
        self.shared.has_synced()
    }

    fn unsynced(&self) -> Unsynced {
        self.shared.unsynced()
    }

    fn status(&self) -> InformerStatus {
        self.shared.status()
    }
}
