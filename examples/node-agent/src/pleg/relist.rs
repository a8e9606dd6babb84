use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kubewright_cri::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::handle::Shared;
use super::records::Record;
use super::{LifecycleChange, PodCache, PodLifecycleEvent, Records, Stamp};
use crate::pod::{PodName, PodUid};
use crate::runtime::{ObservedPod, PodRuntime};

/// How many pods are looked at at one time.
const CONCURRENT_INSPECTIONS: usize = 8;

/// Looks at pods, and passes on what it sees.
pub(super) struct Relister<R> {
    runtime: Arc<R>,
    cache: PodCache,
    pub(super) records: Records,
    events: mpsc::Sender<PodLifecycleEvent>,
    shared: Arc<Shared>,
}

/// What a look at a pod came to.
struct Inspection {
    uid: PodUid,
    at: Stamp,
    observed: Result<ObservedPod, Error>,
}

impl<R: PodRuntime> Relister<R> {
    pub(super) fn new(
        runtime: Arc<R>,
        cache: PodCache,
        events: mpsc::Sender<PodLifecycleEvent>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            runtime,
            cache,
            records: Records::default(),
            events,
            shared,
        }
    }

    /// Looks at all pods.
    pub(super) async fn relist(&mut self) -> Result<(), Error> {
        let (at, started) = (self.cache.stamp(), Instant::now());
        let listed = self.runtime.list_pods().await?;
        for uid in self.records.missing(&listed) {
            let before = self.records.get(&uid);
            let events = self.records.remove(&uid);
            self.cache.remove(&uid, at);
            self.send(uid, before, events);
        }
        for inspection in self.inspect(self.records.to_inspect(&listed)).await {
            let Inspection { uid, at, observed } = inspection;
            match observed {
                Ok(observed) => self.take_in(observed, at),
                Err(error) => {
                    tracing::warn!(pod = %uid, "cannot inspect pod: {error}");
                    self.records.fail(&uid);
                    self.cache.set(&uid, Err(error), at);
                }
            }
        }
        self.shared.set_counts(self.records.counts());
        // After all pods, or somebody would take what was for what is.
        self.cache.advance(at);
        // Only now: who waits for the first list goes by what the cache has.
        self.shared.relisted(started);
        Ok(())
    }

    /// Looks at some pods. Of one that cannot be seen nothing is said before the next list of all:
    /// if the runtime is away, who waits goes on waiting.
    pub(super) async fn relist_pods(&mut self, pods: Vec<(PodUid, PodName)>) {
        for inspection in self.inspect(pods).await {
            let Inspection { uid, at, observed } = inspection;
            match observed {
                Ok(observed) => self.take_in(observed, at),
                Err(error) => {
                    tracing::debug!(pod = %uid, "cannot inspect pod: {error}");
                    self.records.fail(&uid);
                }
            }
        }
        self.shared.set_counts(self.records.counts());
    }

    /// Says that all that is known is so now, and returns whether it is. It is not if a pod could
    /// not be looked at: a list has to find out.
    pub(super) fn advance(&self) -> bool {
        let is_known = !self.records.has_failed();
        if is_known {
            self.cache.advance(self.cache.stamp());
        }
        is_known
    }

    async fn inspect(&self, pods: Vec<(PodUid, PodName)>) -> Vec<Inspection> {
        let inspections = pods.into_iter().map(|(uid, name)| async move {
            let at = self.cache.stamp();
            let observed = self.runtime.observe(&uid, &name).await;
            Inspection { uid, at, observed }
        });
        let inspections = stream::iter(inspections).buffered(CONCURRENT_INSPECTIONS);
        inspections.collect().await
    }

    fn take_in(&mut self, mut observed: ObservedPod, at: Stamp) {
        let uid = observed.uid.clone();
        self.keep_ips(&mut observed);
        let before = self.records.get(&uid);
        let events = self.records.observe(&observed);
        // Events come after what they tell of.
        self.cache.set(&uid, Ok(Arc::new(observed)), at);
        self.send(uid, before, events);
    }

    /// A pod that ended keeps its addresses: statuses show them until it is deleted.
    fn keep_ips(&self, observed: &mut ObservedPod) {
        let is_ready = observed.sandboxes.iter().any(|sandbox| sandbox.is_ready);
        if is_ready || !observed.ips.is_empty() {
            return;
        }
        if let Some(Ok(old)) = self.cache.get(&observed.uid) {
            observed.ips.clone_from(&old.ips);
        }
    }

    /// Tells what has changed in a pod since `before`, if there is room for it. What there is none for
    /// is found again by the next list. Upstream leaves it at that, and the pod waits for its resync.
    fn send(&mut self, uid: PodUid, before: Option<Record>, events: Vec<PodLifecycleEvent>) {
        let told = events
            .into_iter()
            .filter(|event| event.change != LifecycleChange::Changed);
        let mut dropped = 0;
        for event in told {
            dropped += u64::from(self.events.try_send(event).is_err());
        }
        if dropped > 0 {
            tracing::error!(pod = %uid, dropped, "dropped pod lifecycle events");
            self.shared.count_dropped(dropped);
            self.records.put_back(uid, before);
        }
    }
}
