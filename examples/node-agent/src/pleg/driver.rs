use std::fmt;
use std::sync::Arc;

use kubewright_cri::v1::ContainerEventResponse;
use kubewright_cri::{Error, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::handle::Shared;
use super::relist::Relister;
use super::stream::{EventStream, StreamItem};
use super::{PodCache, PodLifecycleEvent};
use crate::pod::{PodName, PodUid};
use crate::runtime::PodRuntime;

/// Watches pods for a [`Pleg`](super::Pleg).
///
/// # Guarantees
///
/// - What an event tells of is in the cache before the event is sent.
/// - A pod that could not be looked at is looked at again with the next list, until that went well;
///   its changes are told then.
/// - If the sync loop does not take events, they are dropped and counted, and what has changed in
///   the pod is told again with the next list; it never waits for it.
///
/// Answers to kubelet's `GenericPLEG` and `EventedPLEG`.
pub struct PlegDriver<R> {
    relister: Relister<R>,
    stream: EventStream,
    shared: Arc<Shared>,
}

impl<R: PodRuntime> PlegDriver<R> {
    pub(super) fn new(
        runtime: Arc<R>,
        cache: PodCache,
        events: mpsc::Sender<PodLifecycleEvent>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            relister: Relister::new(runtime, cache, events, shared.clone()),
            stream: EventStream::off(),
            shared,
        }
    }

    /// Goes by the events of a runtime as long as it sends any, and lists rarely then.
    ///
    /// With a runtime that has none it goes by lists alone, and says so; after some streams in a
    /// row that brought nothing as well.
    pub fn with_events(mut self, runtime: Runtime) -> Self {
        let options = &self.shared.options;
        let retry_after = options.relist_period;
        self.stream = EventStream::of(runtime, options.evented_max_failures, retry_after);
        self
    }

    /// Watches pods until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once.
    pub async fn run(mut self, token: CancellationToken) {
        let _ = token.run_until_cancelled(self.watch()).await;
    }

    /// Lists all pods once, looks at those that changed, and tells what has.
    ///
    /// # Errors
    ///
    /// The runtime does not list its pods: nothing has changed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave out some pods; the next list finds them.
    pub async fn relist(&mut self) -> Result<(), Error> {
        self.relister.relist().await
    }

    async fn watch(&mut self) {
        let mut next_relist = Instant::now();
        let mut next_advance = Instant::now();
        loop {
            let is_open = self.stream.is_open();
            // Lists come first: they are rare, and nothing else may keep them from being made.
            // Events of the runtime only add to what is asked for, so that it is looked at once.
            tokio::select! {
                biased;
                () = sleep_until(next_relist) => {
                    if let Err(error) = self.relist().await {
                        tracing::warn!("cannot list pods: {error}");
                    }
                    next_relist = Instant::now() + self.period();
                }
                () = sleep_until(next_advance), if is_open => {
                    if !self.relister.advance() {
                        next_relist = Instant::now();
                    }
                    next_advance = Instant::now() + self.shared.options.evented_cache_period;
                }
                item = self.stream.next() => {
                    if self.on_item(item) {
                        next_relist = Instant::now();
                    }
                    next_advance = Instant::now() + self.shared.options.evented_cache_period;
                }
                () = self.shared.asked.notified() => {
                    let wanted = self.shared.take_wanted();
                    self.relister.relist_pods(wanted).await;
                }
            }
        }
    }

    fn period(&self) -> std::time::Duration {
        let options = &self.shared.options;
        if self.stream.is_open() {
            options.evented_relist_period
        } else {
            options.relist_period
        }
    }

    /// Returns whether all pods have to be listed for it.
    fn on_item(&mut self, item: StreamItem) -> bool {
        self.shared.set_evented(self.stream.is_open());
        match item {
            StreamItem::Opened => {
                tracing::info!("the runtime tells what happens to containers");
                true
            }
            StreamItem::Event(event) => match self.pod_of(&event) {
                Some((uid, name)) => {
                    self.shared.want(uid, name);
                    false
                }
                None => true,
            },
            StreamItem::Lost(lost) => {
                tracing::warn!("lost the events of the runtime, and try again: {lost}");
                true
            }
            StreamItem::GaveUp(lost) => {
                let period = self.period();
                tracing::warn!(
                    "the runtime sends no events, so that its pods are listed every {period:?}: {lost}"
                );
                true
            }
        }
    }

    /// Which pod an event is of. One of a pod whose sandbox is gone does not say.
    fn pod_of(&self, event: &ContainerEventResponse) -> Option<(PodUid, PodName)> {
        let sandbox = event.pod_sandbox_status.as_ref();
        let Some(metadata) = sandbox.and_then(|sandbox| sandbox.metadata.as_ref()) else {
            return self.relister.records.owner(&event.container_id);
        };
        let name = PodName::new(&*metadata.namespace, &*metadata.name);
        Some((PodUid::new(&*metadata.uid), name))
    }
}

impl<R> fmt::Debug for PlegDriver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("PlegDriver")
            .field("shared", shared)
            .finish_non_exhaustive()
    }
}
