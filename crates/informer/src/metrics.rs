//! What an informer tells of itself.

use std::time::Duration;

/// Receives an informer's measurements.
///
/// Every method does nothing by default, so that an implementation takes what it exports.
/// The informer calls it without holding a lock, from its own tasks and from those that use it; an
/// implementation is quick.
/// All times are read from tokio's clock.
///
/// Counters and histograms are told as things happen, gauges only by
/// [`SharedInformer::report`](crate::SharedInformer::report).
pub trait InformerMetrics: Send + Sync + 'static {
    /// A counter: so many changes of the store were told to the handlers.
    fn events(&self, events: u64) {
        let _ = events;
    }

    /// A counter: so many events joined one that waited for the handler.
    fn coalesced(&self, handler: &str, events: u64) {
        let _ = (handler, events);
    }

    /// A counter: so many entries waited when the handler was removed or the informer stopped.
    fn dropped(&self, handler: &str, entries: u64) {
        let _ = (handler, entries);
    }

    /// Two histograms: an event waited this long and was then handled in this time.
    ///
    /// The wait counts from the first of the events that this one stands for.
    fn handled(&self, handler: &str, waited: Duration, took: Duration) {
        let _ = (handler, waited, took);
    }

    /// A counter: the handler panicked once more.
    fn panicked(&self, handler: &str) {
        let _ = handler;
    }

    /// A histogram: the informer stood still this long because the mailbox of a handler with
    /// [`Mailbox::Lossless`](crate::Mailbox::Lossless) was full.
    fn stalled(&self, handler: &str, stalled: Duration) {
        let _ = (handler, stalled);
    }

    /// A gauge: so many objects are in the store.
    fn store_size(&self, objects: usize) {
        let _ = objects;
    }

    /// A gauge: so many entries wait for the handler.
    fn pending(&self, handler: &str, entries: usize) {
        let _ = (handler, entries);
    }

    /// A gauge: the source was last heard of this long ago, be it an event, a list or a bookmark.
    ///
    /// Not told before the first.
    fn last_event_age(&self, age: Duration) {
        let _ = age;
    }
}

/// Nobody is told.
pub(crate) struct Unmetered;

impl InformerMetrics for Unmetered {}
