use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::inputs::{Input, Inputs};
use super::{SyncHandler, SyncLoopChannels, SyncLoopHealth, SyncLoopOptions};
use crate::pleg::{LifecycleChange, PodLifecycleEvent};
use crate::pod::PodUid;
use crate::probe::{ProbeKind, ProbeOutcome, ProbeUpdate};
use crate::source::{Operation, PodUpdate, SourcesReady};

/// The loop that acts on what happens.
///
/// # Guarantees
///
/// - A source is ready only after its first update was acted on.
/// - Nothing is cleaned up before all sources are ready.
/// - No channel starves: the five are taken from in turn. Under paused time the order is always the
///   same.
/// - While the runtime is not well nothing is taken, but what its
///   [senders](SyncLoopChannels) had room for is kept.
///
/// Answers to kubelet's `syncLoop`.
#[derive(Debug)]
pub struct SyncLoop {
    channels: SyncLoopChannels,
    ready: SourcesReady,
    options: SyncLoopOptions,
    health: SyncLoopHealth,
}

impl SyncLoop {
    /// A loop over these channels that marks sources as ready.
    pub fn new(channels: SyncLoopChannels, ready: SourcesReady, options: SyncLoopOptions) -> Self {
        Self {
            channels,
            ready,
            options,
            health: SyncLoopHealth::default(),
        }
    }

    /// When the loop was last seen to go round.
    pub fn health(&self) -> SyncLoopHealth {
        self.health.clone()
    }

    /// Hands what happens to the handler, until the token is cancelled or the channel of updates is
    /// closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once; a clean-up under way is dropped.
    pub async fn run<H: SyncHandler>(self, handler: &H, token: CancellationToken) {
        let _ = token.run_until_cancelled(self.rounds(handler)).await;
    }

    async fn rounds<H: SyncHandler>(self, handler: &H) {
        let Self {
            channels,
            ready,
            options,
            health,
        } = self;
        let mut inputs = Inputs::new(channels, &options);
        let mut backoff = options.initial_error_backoff;
        loop {
            if let Some(errors) = handler.runtime_errors() {
                tracing::warn!("skipping pod synchronization: {errors}");
                sleep(backoff).await;
                backoff = backoff.saturating_mul(2).min(options.max_error_backoff);
                continue;
            }
            backoff = options.initial_error_backoff;
            health.beat();
            match inputs.next().await {
                Input::Update(update) => on_update(handler, &ready, update).await,
                Input::Closed => {
                    tracing::info!("no source is left, exiting the sync loop");
                    return;
                }
                Input::Lifecycle(event) => on_lifecycle(handler, &event),
                Input::SyncTick => {
                    let pods = handler.pods_to_sync();
                    if !pods.is_empty() {
                        handler.handle_pod_syncs(pods);
                    }
                }
                Input::Probe(update) => on_probe(handler, &update),
                Input::HousekeepingTick if ready.all() => clean_up(handler, &options).await,
                Input::HousekeepingTick => {}
            }
            health.beat();
        }
    }
}

async fn on_update<H: SyncHandler>(handler: &H, ready: &SourcesReady, update: PodUpdate) {
    let PodUpdate {
        operation,
        source,
        pods,
    } = update;
    tracing::debug!(%operation, source = source.as_str(), pods = pods.len(), "pod update");
    match operation {
        Operation::Add => handler.handle_pod_additions(pods).await,
        // A pod that is to be deleted is first changed: it has its grace.
        Operation::Update | Operation::Delete => handler.handle_pod_updates(pods),
        Operation::Remove => handler.handle_pod_removes(pods),
        Operation::Reconcile => handler.handle_pod_reconcile(pods),
    }
    ready.mark(source);
}

fn on_lifecycle<H: SyncHandler>(handler: &H, event: &PodLifecycleEvent) {
    tracing::debug!(pod = %event.pod, container = %event.container, change = ?event.change, "pod lifecycle event");
    if event.change.is_worth_a_sync() {
        sync(handler, &event.pod);
    }
    if event.change == LifecycleChange::Died {
        handler.clean_up_containers(&event.pod, &event.container);
    }
}

fn on_probe<H: SyncHandler>(handler: &H, update: &ProbeUpdate) {
    let ProbeUpdate {
        kind,
        outcome,
        container,
        pod,
    } = update;
    let is_success = *outcome == ProbeOutcome::Success;
    match kind {
        ProbeKind::Liveness if *outcome != ProbeOutcome::Failure => return,
        ProbeKind::Liveness => {}
        ProbeKind::Readiness => handler.set_container_readiness(pod, container, is_success),
        ProbeKind::Startup => handler.set_container_startup(pod, container, is_success),
    }
    tracing::debug!(%pod, %container, ?kind, ?outcome, "probe result");
    sync(handler, pod);
}

/// What no source has is not synced.
fn sync<H: SyncHandler>(handler: &H, uid: &PodUid) {
    if let Some(pod) = handler.pod(uid) {
        handler.handle_pod_syncs(vec![pod]);
    }
}

async fn clean_up<H: SyncHandler>(handler: &H, options: &SyncLoopOptions) {
    let start = Instant::now();
    if let Err(error) = handler.handle_pod_cleanups().await {
        tracing::error!("failed cleaning pods: {error:#}");
    }
    let took = start.elapsed();
    if took > options.housekeeping_warning {
        let expected = options.housekeeping_warning;
        tracing::warn!("housekeeping took too long: {took:?}, expected {expected:?}");
    }
}
