//! The guard of a key that is being processed.

use std::fmt;
use std::ops::Deref;

use crate::engine::Id;
use crate::{Cause, Key, WorkQueue};

/// A key being processed; dropping it says that it is done.
///
/// While it lives, its queue hands the same key out to nobody else.
/// If the key was added again meanwhile, the drop queues it once more.
///
/// Dropped without further ado it means neither success nor failure: call
/// [`forget`](WorkQueue::forget) after a success, or
/// [`add_rate_limited`](WorkQueue::add_rate_limited) after a failure, before it is dropped.
/// A panic of the worker drops it as well. Leaking it (`std::mem::forget`) leaves the key in
/// processing for ever.
#[must_use = "dropping the item says that it is done"]
pub struct WorkItem<K: Key, C: Cause = ()> {
    queue: WorkQueue<K, C>,
    id: Id,
    key: K,
    cause: C,
}

impl<K: Key, C: Cause> WorkItem<K, C> {
    pub(crate) fn new(queue: WorkQueue<K, C>, id: Id, key: K, cause: C) -> Self {
        Self {
            queue,
            id,
            key,
            cause,
        }
    }

    /// The key to process.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// What the adds that this run answers left behind, merged.
    pub fn cause(&self) -> &C {
        &self.cause
    }

    /// The queue that handed the key out.
    pub fn queue(&self) -> &WorkQueue<K, C> {
        &self.queue
    }
}

impl<K: Key, C: Cause> Deref for WorkItem<K, C> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.key
    }
}

impl<K: Key, C: Cause> Drop for WorkItem<K, C> {
    fn drop(&mut self) {
        self.queue.done(self.id);
    }
}

impl<K: Key + fmt::Debug, C: Cause> fmt::Debug for WorkItem<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkItem").field(&self.key).finish()
    }
}
