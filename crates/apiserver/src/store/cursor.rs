//! A place in the log of a resource that moves on as changes are read.

use std::sync::Arc;

use tokio::sync::watch;

use crate::store::log::{Event, TooOld};
use crate::store::{Shard, Store};

/// A reader of the changes of one resource, in order, from one revision on.
///
/// Cursors cost the writer nothing but a wake-up: nothing is queued for them. One that falls
/// behind what the log remembers is told so and has to start again.
#[derive(Debug)]
pub(crate) struct Cursor {
    store: Arc<Store>,
    shard: Arc<Shard>,
    head: watch::Receiver<u64>,
    /// All changes up to here have been read.
    position: u64,
}

impl Cursor {
    /// The cursor stands behind the changes up to `position`.
    pub(super) fn new(store: Arc<Store>, shard: Arc<Shard>, position: u64) -> Self {
        let head = shard.head.subscribe();
        Self {
            store,
            shard,
            head,
            position,
        }
    }

    /// The resource version up to which everything has been read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The revision of the newest change of any resource.
    pub(crate) fn newest(&self) -> u64 {
        self.store.revision()
    }

    /// The next changes, at most `limit`; none if the cursor has caught up.
    ///
    /// # Errors
    ///
    /// If changes were forgotten before they were read, or the resource is served no more and all
    /// of its changes have been read.
    pub(crate) fn read(&mut self, limit: usize) -> Result<Vec<Arc<Event>>, TooOld> {
        let state = self.shard.state.read();
        let mut after = state.log.after(self.position)?;
        let events: Vec<_> = after.by_ref().take(limit).cloned().collect();
        if events.is_empty() && state.retired {
            let oldest = self.store.revision();
            return Err(TooOld { oldest });
        }
        self.position = match (after.next(), events.last()) {
            (Some(_), Some(last)) => last.revision,
            // Caught up: what other resources did lies behind the cursor too.
            _ => self.position.max(self.store.revision()),
        };
        Ok(events)
    }

    /// Whether the resource is served no more, and all that happened to it has been read.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.shard.state.read();
        let unread = state.log.after(self.position).map(|mut rest| rest.next());
        state.retired && matches!(unread, Ok(None))
    }

    /// Waits until there is a change to read.
    ///
    /// Cancel safe: nothing is read here.
    pub(crate) async fn ready(&mut self) {
        let position = self.position;
        if self.head.wait_for(|head| *head > position).await.is_err() {
            // The writer lives in the shard that this cursor holds.
            std::future::pending::<()>().await;
        }
    }
}
