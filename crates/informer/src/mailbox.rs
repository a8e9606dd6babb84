//! What waits for a handler.

mod coalescing;
mod inbox;
mod lossless;
mod pending;
#[cfg(test)]
mod tests;
mod tracker;

use std::num::NonZeroUsize;

use kubewright_cache::{Event, Initial};
use tokio::time::Instant;

pub(crate) use inbox::{Counts, Inbox, Outcome};

/// What becomes of the events that a handler has not got to yet.
///
/// Each handler has a mailbox of its own, so that a slow one delays neither the store nor its
/// siblings.
/// Where client-go lets a slow handler's backlog grow without limit, both kinds here are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mailbox {
    /// At most one entry waits per key; a further event of that key joins it.
    ///
    /// # Rules
    ///
    /// | waiting | comes | left waiting |
    /// |---|---|---|
    /// | `Added(a)` | `Updated(a, b)` | `Added(b)` |
    /// | `Added(a)` | `Deleted(a)` | nothing |
    /// | `Updated(a, b)` | `Updated(b, c)` | `Updated(a, c)` |
    /// | `Updated(a, b)` | `Deleted(b)` | `Deleted(b)` |
    /// | `Deleted(a)` | `Added(b)` | `Deleted(a)`, then `Added(b)` |
    /// | `Deleted(a)`, then `Added(b)` | `Updated(b, c)` | `Deleted(a)`, then `Added(c)` |
    /// | `Deleted(a)`, then `Added(b)` | `Deleted(b)` | `Deleted(a)` |
    ///
    /// An event that was handed over waits no longer and is never changed: once `Added(a)` is in
    /// the handler's hands, its deletion will follow.
    ///
    /// # Guarantees
    ///
    /// - For each key the handler sees a consistent life: `Added`, any number of `Updated` whose
    ///   `old` is what it was told last, `Deleted`, and so on.
    ///   It ends where the store is.
    /// - Keys are handled in the order in which the first of their waiting events arrived.
    ///   A later event of a key may therefore overtake events of other keys.
    ///   The store is always ahead of the handler, so what such an event refers to is there.
    /// - Memory: at most one entry per key that is in the store or that the handler still believes
    ///   to be there, however slow it is.
    ///   There is no overflow, hence no policy for one.
    ///
    /// A handler that must see every life, however short (one that counts creations, or audits),
    /// takes [`Mailbox::Lossless`].
    #[default]
    Coalescing,
    /// Every event waits, in the order in which the store changed across all keys.
    ///
    /// # Back-pressure
    ///
    /// While `capacity` or more events wait, the informer applies no further change: its store,
    /// its other handlers and in the end the watch stand still until the handler catches up.
    /// That is the price of losing nothing; it is reported by [`InformerMetrics::stalled`] and a
    /// warning.
    /// The bound is looked at between batches, so it can be exceeded by one batch: 1,000 changes by
    /// default, those between two complete pictures after a relist, or one resync.
    /// Initial additions do not count; there are no more of them than objects.
    ///
    /// # Assumptions
    ///
    /// The handler does not wait for the store of its own informer to move, which it may be
    /// holding up itself.
    ///
    /// [`InformerMetrics::stalled`]: crate::InformerMetrics::stalled
    Lossless {
        /// How many events may wait.
        capacity: NonZeroUsize,
    },
}

/// An event handed over to the handler.
#[derive(Debug)]
pub(crate) struct Taken<K> {
    pub(crate) event: Event<K>,
    /// When it arrived, or the first of the events that it stands for.
    pub(crate) since: Instant,
}

/// What became of an event that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Posted {
    /// It is an entry of its own.
    Queued,
    /// It joined an entry that waited.
    Merged {
        /// How many initial additions were told of by one of the two and are not by the outcome.
        settled: usize,
    },
}

/// How many additions of the initial list an event tells of: none or one.
pub(crate) fn initial_additions<K>(event: &Event<K>) -> usize {
    match event {
        Event::Added { initial, .. } => usize::from(*initial == Initial::Yes),
        Event::Updated { .. } | Event::Deleted { .. } => 0,
    }
}
