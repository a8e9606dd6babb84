//! Puts reconciles off while the stores have yet to show the controller's own writes.

use std::sync::Arc;
use std::time::Duration;

use kubewright_cache::ResourceVersion;
use kubewright_informer::ObjectKey;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::deferrals::{Deferrals, Woken, limit};
use crate::own_writes::{Changes, Watched};
use crate::{Behind, OwnWrites, RequestQueue, Triggers};

/// What the workers and those who watch the stores share. A cheap handle.
#[derive(Clone)]
pub(super) struct Staleness {
    own_writes: OwnWrites,
    limit: Duration,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    deferrals: Mutex<Deferrals>,
    /// There is a limit ahead that was not when the timer looked last.
    limit_set: Notify,
}

impl Staleness {
    pub(super) fn new(own_writes: OwnWrites, limit: Duration) -> Self {
        Self {
            own_writes,
            limit,
            shared: Arc::default(),
        }
    }

    /// Puts `key` off if a store is behind its own writes, and says which.
    pub(super) fn defer(&self, key: &ObjectKey, triggers: Triggers) -> Option<Behind> {
        // A store that advances now is looked at by `watch` only after the lock is let go: either
        // this sees its new version, or `watch` finds the key.
        let mut deferrals = self.shared.deferrals.lock();
        let behind = self.own_writes.behind(key)?;
        let earliest = deferrals.next_limit();
        let limit = limit(Instant::now(), self.limit);
        deferrals.defer(key, triggers, behind.nth, &behind.wrote, limit);
        let earlier = deferrals.next_limit() != earliest;
        drop(deferrals);
        if earlier {
            self.shared.limit_set.notify_one();
        }
        Some(behind)
    }

    /// Watches the stores, and the limits.
    pub(super) fn spawn(self, tasks: &mut JoinSet<()>, queue: &RequestQueue) {
        for (nth, store) in self.own_writes.stores().into_iter().enumerate() {
            let changes = store.changes();
            tasks.spawn(self.clone().watch(nth, store, changes, queue.clone()));
        }
        tasks.spawn(self.watch_limits(queue.clone()));
    }

    async fn watch(
        self,
        nth: usize,
        store: Arc<dyn Watched>,
        mut changes: Box<dyn Changes>,
        queue: RequestQueue,
    ) {
        loop {
            if let Some(version) = store.version() {
                self.reached(nth, &version, &queue);
            }
            if changes.changed().await.is_err() {
                // The store moves no more; what waits for it waits for its limit.
                return;
            }
        }
    }

    fn reached(&self, nth: usize, version: &ResourceVersion, queue: &RequestQueue) {
        let woken = self.shared.deferrals.lock().reached(nth, version);
        for Woken { key, triggers } in woken {
            queue.add_with(key, triggers);
        }
    }

    async fn watch_limits(self, queue: RequestQueue) {
        loop {
            let next = self.shared.deferrals.lock().next_limit();
            let limit_set = self.shared.limit_set.notified();
            match next {
                None => limit_set.await,
                Some(next) => tokio::select! {
                    () = sleep_until(next) => self.expire(&queue),
                    () = limit_set => {}
                },
            }
        }
    }

    fn expire(&self, queue: &RequestQueue) {
        let woken = self.shared.deferrals.lock().expired(Instant::now());
        for Woken { key, triggers } in woken {
            if let Some(behind) = self.own_writes.behind(&key) {
                tracing::warn!(object.ref = %key, %behind, "reconciling on stale caches: they do not catch up");
                self.own_writes.clear(&key, None);
            }
            queue.add_with(key, triggers);
        }
    }
}
