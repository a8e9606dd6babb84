//! What a queue tells of itself.

use std::time::Duration;

/// Receives a queue's measurements, under the names that client-go and controller-runtime export
/// with the prefix `workqueue_`.
///
/// Every method does nothing by default, so that an implementation takes what it exports.
/// The queue calls it without holding its lock and from any task that uses the queue; an
/// implementation is quick.
/// All times are read from tokio's clock.
///
/// A queue without metrics reads no clock at all for its plain operations.
pub trait QueueMetrics: Send + Sync {
    /// `depth`, a gauge: the number of keys to be processed changed by `change`.
    ///
    /// Keys that are to run again once their present run ends are counted, as in client-go.
    /// Keys still delayed are not.
    fn depth(&self, change: i64) {
        let _ = change;
    }

    /// `adds_total`, a counter: one more key came to be processed.
    ///
    /// Adds that found their key waiting already are not counted.
    fn adds_total(&self) {}

    /// `queue_duration_seconds`, a histogram: a key was handed out after it waited this long, counted
    /// from the first of the adds that its run answers.
    fn queue_duration_seconds(&self, waited: Duration) {
        let _ = waited;
    }

    /// `work_duration_seconds`, a histogram: a key was done after this long.
    fn work_duration_seconds(&self, worked: Duration) {
        let _ = worked;
    }

    /// `unfinished_work_seconds`, a gauge: how long the present runs have taken, together.
    ///
    /// Told by [`WorkQueue::report_unfinished`](crate::WorkQueue::report_unfinished) only.
    fn unfinished_work_seconds(&self, total: Duration) {
        let _ = total;
    }

    /// `longest_running_processor_seconds`, a gauge: how long the longest present run has taken.
    ///
    /// Told by [`WorkQueue::report_unfinished`](crate::WorkQueue::report_unfinished) only.
    fn longest_running_processor_seconds(&self, longest: Duration) {
        let _ = longest;
    }

    /// `retries_total`, a counter: one more call of `add_after` or `add_rate_limited`.
    fn retries_total(&self) {}
}
