//! A worker: takes a key, calls the reconciler, and does with the key what follows.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use kubewright_informer::ObjectKey;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::Status;
use super::staleness::Staleness;
use crate::action::Next;
use crate::{
    Action, ControllerMetrics, Reasons, ReconcileResult, Reconciler, Request, RequestQueue,
    Triggers,
};

type Item = kubewright_workqueue::WorkItem<ObjectKey, Triggers>;

/// What all workers of a controller share.
pub(super) struct Worker<R> {
    pub(super) controller: Arc<str>,
    pub(super) reconciler: R,
    pub(super) queue: RequestQueue,
    pub(super) sources: Arc<[Arc<str>]>,
    pub(super) timeout: Option<Duration>,
    pub(super) staleness: Option<Staleness>,
    pub(super) metrics: Arc<dyn ControllerMetrics>,
    pub(super) status: Arc<Status>,
}

/// How a call of the reconciler ended.
enum Outcome<E> {
    Returned(Result<Action, E>),
    TimedOut,
    Panicked(Box<dyn Any + Send>),
}

impl<R: Reconciler> Worker<R> {
    /// Works until the queue is shut down.
    pub(super) async fn work(self: Arc<Self>) {
        while let Some(item) = self.queue.get().await {
            if self.status.stopping.load(Ordering::SeqCst) {
                return;
            }
            if !self.is_deferred(&item) {
                self.process(&item).await;
            }
        }
    }

    fn is_deferred(&self, item: &Item) -> bool {
        let staleness = self.staleness.as_ref();
        let behind = staleness.and_then(|staleness| staleness.defer(item.key(), *item.cause()));
        if let Some(behind) = &behind {
            self.metrics.deferrals_total(&behind.store);
            tracing::debug!(controller = %self.controller, object.ref = %item.key(), %behind, "deferred");
        }
        behind.is_some()
    }

    async fn process(&self, item: &Item) {
        let reasons = Reasons::new(*item.cause(), Arc::clone(&self.sources));
        let attempt = self.queue.num_requeues(item.key()).saturating_add(1);
        let span = tracing::info_span!(
            "reconcile",
            controller = %self.controller,
            object.ref = %item.key(),
            object.reason = %reasons,
            attempt,
        );
        let request = Request::of(item.key().clone(), reasons, attempt);
        async {
            let started = Instant::now();
            let active = Active::new(self);
            let outcome = self.call(request).await;
            drop(active);
            self.metrics.reconcile_time_seconds(started.elapsed());
            self.settle(item.key(), outcome);
        }
        .instrument(span)
        .await;
    }

    async fn call(&self, request: Request) -> Outcome<R::Error> {
        // In a block of its own, so that a panic before the first await is caught as well.
        let reconcile = async { self.reconciler.reconcile(request).await };
        let caught = AssertUnwindSafe(reconcile).catch_unwind();
        let returned = match self.timeout {
            None => caught.await,
            Some(limit) => match timeout(limit, caught).await {
                Ok(returned) => returned,
                Err(_) => return Outcome::TimedOut,
            },
        };
        returned.map_or_else(Outcome::Panicked, Outcome::Returned)
    }

    /// Counts and logs an outcome, and queues the key again as it asks for.
    fn settle(&self, key: &ObjectKey, outcome: Outcome<R::Error>) {
        let metrics = &*self.metrics;
        let result = match outcome {
            Outcome::Returned(Ok(action)) => self.follow(key, action),
            Outcome::Returned(Err(error)) if R::is_terminal(&error) => {
                metrics.terminal_reconcile_errors_total();
                tracing::error!(
                    error = &error as &(dyn Error + 'static),
                    "reconcile failed for good"
                );
                self.queue.forget(key);
                ReconcileResult::Error
            }
            Outcome::Returned(Err(error)) => {
                tracing::warn!(error = &error as &(dyn Error + 'static), "reconcile failed");
                self.retry(key)
            }
            Outcome::TimedOut => {
                metrics.reconcile_timeouts_total();
                let limit = self.timeout.unwrap_or_default();
                tracing::warn!(?limit, "reconcile took too long");
                self.retry(key)
            }
            Outcome::Panicked(payload) => {
                metrics.reconcile_panics_total();
                tracing::error!(panic = message(&*payload), "reconcile panicked");
                self.retry(key)
            }
        };
        if result == ReconcileResult::Error {
            metrics.reconcile_errors_total();
        }
        metrics.reconcile_total(result);
    }

    fn follow(&self, key: &ObjectKey, action: Action) -> ReconcileResult {
        match action.next {
            Next::Wait => {
                self.queue.forget(key);
                ReconcileResult::Success
            }
            Next::After(delay) => {
                self.queue.forget(key);
                self.queue.add_after(key.clone(), delay);
                ReconcileResult::RequeueAfter
            }
            Next::RateLimited => {
                self.queue.add_rate_limited(key.clone());
                ReconcileResult::Requeue
            }
        }
    }

    fn retry(&self, key: &ObjectKey) -> ReconcileResult {
        self.queue.add_rate_limited(key.clone());
        ReconcileResult::Error
    }
}

/// Counts a reconcile while it is under way, also if it is dropped.
struct Active<'a> {
    status: &'a Status,
    metrics: &'a dyn ControllerMetrics,
}

impl<'a> Active<'a> {
    fn new<R>(worker: &'a Worker<R>) -> Self {
        worker.status.running.fetch_add(1, Ordering::SeqCst);
        worker.metrics.active_workers(1);
        Self {
            status: &worker.status,
            metrics: &*worker.metrics,
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.status.running.fetch_sub(1, Ordering::SeqCst);
        self.metrics.active_workers(-1);
    }
}

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text")
}
