//! What a controller tells of itself.

use std::time::Duration;

/// Receives a controller's measurements, under the names that controller-runtime exports with the
/// prefix `controller_runtime_` and the label `controller`.
///
/// Every method does nothing by default, so that an implementation takes what it exports.
/// It is called from the workers; an implementation is quick.
/// The queue's own metrics are in
/// [`QueueConfig::metrics`](kubewright_workqueue::QueueConfig::metrics).
pub trait ControllerMetrics: Send + Sync {
    /// `reconcile_total{result}`, a counter: a reconcile ended.
    fn reconcile_total(&self, result: ReconcileResult) {
        let _ = result;
    }

    /// `reconcile_errors_total`, a counter: a reconcile ended in an error, a panic or a timeout.
    fn reconcile_errors_total(&self) {}

    /// `terminal_reconcile_errors_total`, a counter: the error was terminal.
    fn terminal_reconcile_errors_total(&self) {}

    /// `reconcile_panics_total`, a counter: the reconcile panicked.
    fn reconcile_panics_total(&self) {}

    /// `reconcile_timeouts_total`, a counter: the reconcile took too long.
    fn reconcile_timeouts_total(&self) {}

    /// `reconcile_time_seconds`, a histogram: a reconcile took this long.
    fn reconcile_time_seconds(&self, took: Duration) {
        let _ = took;
    }

    /// `max_concurrent_reconciles`, a gauge: so many workers there are.
    fn max_concurrent_reconciles(&self, workers: usize) {
        let _ = workers;
    }

    /// `active_workers`, a gauge: the number of workers in a reconcile changed by `change`.
    fn active_workers(&self, change: i64) {
        let _ = change;
    }

    /// A counter without a name in controller-runtime; kube-controller-manager's
    /// `stale_sync_skips_total{resource}`: a reconcile was put off because `store` had not seen the
    /// controller's own writes.
    fn deferrals_total(&self, store: &str) {
        let _ = store;
    }
}

/// How a reconcile ended: the label `result` of `reconcile_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReconcileResult {
    /// With nothing more to do.
    Success,
    /// With a wish for a reconcile after some time.
    RequeueAfter,
    /// With a wish for a rate-limited reconcile.
    Requeue,
    /// In an error, a panic or a timeout.
    Error,
}

impl ReconcileResult {
    /// All of them, to set counters to zero with.
    pub const ALL: [Self; 4] = [
        Self::Success,
        Self::RequeueAfter,
        Self::Requeue,
        Self::Error,
    ];

    /// The label's value: `success`, `requeue_after`, `requeue` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Requeue => "requeue",
            Self::Error => "error",
        }
    }
}

/// Nobody is told.
pub(crate) struct Unmetered;

impl ControllerMetrics for Unmetered {}
