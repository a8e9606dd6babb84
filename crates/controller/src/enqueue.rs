//! The way into a controller's queue.

use std::fmt;
use std::time::Duration;

use kubewright_informer::ObjectKey;
use kubewright_workqueue::WorkQueue;

use crate::Triggers;

/// The queue of a controller: keys to reconcile, with what triggered it.
pub type RequestQueue = WorkQueue<ObjectKey, Triggers>;

/// Asks a controller to reconcile keys.
///
/// A cheap handle, given to mappers of events and to whoever asks by
/// [`Controller::enqueue`](crate::Controller::enqueue).
/// Nothing here waits. After the controller has stopped, nothing here has an effect.
///
/// # Example
///
/// A test looks at what its mapper does to a queue without a controller:
///
/// ```
/// use kubewright_controller::{Enqueue, RequestQueue};
/// use kubewright_informer::ObjectKey;
///
/// let queue = RequestQueue::new(Default::default());
/// let enqueue = Enqueue::new(&queue);
/// enqueue.add(ObjectKey::namespaced("default", "web"));
/// assert_eq!(queue.try_get().map(|item| item.to_string()), Some("default/web".into()));
/// ```
#[derive(Clone)]
pub struct Enqueue {
    queue: RequestQueue,
    triggers: Triggers,
}

impl Enqueue {
    /// The way into `queue`.
    pub fn new(queue: &RequestQueue) -> Self {
        Self::because(queue, Triggers::asked())
    }

    pub(crate) fn because(queue: &RequestQueue, triggers: Triggers) -> Self {
        Self {
            queue: queue.clone(),
            triggers,
        }
    }

    pub(crate) fn set_triggers(&mut self, triggers: Triggers) {
        self.triggers = triggers;
    }

    /// Asks for a reconcile of `key` as soon as it is its turn.
    ///
    /// Any number of calls before the reconcile begins are one reconcile.
    pub fn add(&self, key: ObjectKey) {
        self.queue.add_with(key, self.triggers);
    }

    /// Asks for a reconcile of `key` once `delay` is over; of two delays the earlier deadline wins.
    pub fn add_after(&self, key: ObjectKey, delay: Duration) {
        self.queue.add_after(key, delay);
    }

    /// Asks for a reconcile of `key` when the limiters allow it, and counts it as a failure.
    pub fn add_rate_limited(&self, key: ObjectKey) {
        self.queue.add_rate_limited(key);
    }
}

impl fmt::Debug for Enqueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enqueue").field(&self.queue).finish()
    }
}
