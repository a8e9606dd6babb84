//! One call of a reconciler.

use std::fmt;
use std::sync::Arc;

use kubewright_informer::ObjectKey;

use crate::{Reasons, Triggers};

/// Asks a [`Reconciler`](crate::Reconciler) for one reconcile of one key.
///
/// What to do follows from the state of the world alone; reasons and attempt are for logs and
/// metrics.
#[derive(Debug, Clone)]
pub struct Request {
    key: ObjectKey,
    reasons: Reasons,
    attempt: u32,
}

impl Request {
    pub(crate) const fn of(key: ObjectKey, reasons: Reasons, attempt: u32) -> Self {
        Self {
            key,
            reasons,
            attempt,
        }
    }

    /// A request as nobody but a test makes one: somebody asked, and it is the first attempt.
    pub fn new(key: ObjectKey) -> Self {
        Self::of(key, Reasons::new(Triggers::asked(), Arc::default()), 1)
    }

    /// The key to reconcile.
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Why the key is reconciled.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    /// How many attempts there were since the last success, this one included: 1 at first.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The key to reconcile, by value.
    pub fn into_key(self) -> ObjectKey {
        self.key
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.key, f)
    }
}
