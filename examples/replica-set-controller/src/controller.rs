use std::sync::Arc;

use kubewright_clock::Clock;
use kubewright_controller::{Action, OwnWrites, Request, TrackedStore, UidTrackingExpectations};

use crate::caches::Caches;
use crate::cluster::{Cluster, Written};
use crate::config::Config;
use crate::error::SyncError;
use crate::metrics::Metrics;
use crate::replica_set::ReplicaSetView;

/// The ReplicaSet controller: what it makes of events, and how it syncs a set.
///
/// It runs nothing by itself: an [`Assembly`](crate::Assembly) wires it to informers and a queue,
/// a test calls it directly.
#[derive(Debug)]
pub struct ReplicaSetController<C> {
    pub(crate) cluster: C,
    pub(crate) caches: Caches,
    pub(crate) expectations: UidTrackingExpectations,
    pub(crate) own_writes: OwnWrites,
    own_sets: TrackedStore,
    own_pods: TrackedStore,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
}

impl<C: Cluster> ReplicaSetController<C> {
    /// A controller that reads from `caches` and acts on `cluster`.
    pub fn new(cluster: C, caches: Caches, config: Config, clock: Clock) -> Self {
        let own_writes = OwnWrites::new();
        Self {
            own_sets: own_writes.track("replicasets", &caches.sets),
            own_pods: own_writes.track("pods", &caches.pods),
            own_writes,
            cluster,
            caches,
            expectations: UidTrackingExpectations::new(config.expectations_timeout),
            config,
            clock,
            metrics: Arc::default(),
        }
    }

    /// What the controller acts on.
    pub const fn cluster(&self) -> &C {
        &self.cluster
    }

    /// What it reads from.
    pub const fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Which creations and deletions it has yet to see.
    pub const fn expectations(&self) -> &UidTrackingExpectations {
        &self.expectations
    }

    /// Which of its writes the caches have yet to show; none while the feature gate is off.
    pub const fn own_writes(&self) -> &OwnWrites {
        &self.own_writes
    }

    /// What it counts.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// One reconcile: a [sync](Self::sync), and when the next one is due.
    ///
    /// # Errors
    ///
    /// As of [`sync`](Self::sync).
    pub async fn reconcile(&self, request: Request) -> Result<Action, SyncError> {
        let next = self.sync(request.key()).await?;
        Ok(next.map_or_else(Action::done, Action::requeue_after))
    }

    /// A pod was written on behalf of `set`: its next sync waits until the cache shows it.
    pub(crate) fn wrote_pod(&self, set: &ReplicaSetView<'_>, written: &Written) {
        self.wrote(&self.own_pods, set, written);
    }

    /// The set itself was written.
    pub(crate) fn wrote_set(&self, set: &ReplicaSetView<'_>, written: &Written) {
        self.wrote(&self.own_sets, set, written);
    }

    fn wrote(&self, store: &TrackedStore, set: &ReplicaSetView<'_>, written: &Written) {
        if self.config.gates.stale_controller_consistency {
            store.wrote(set.key(), set.meta().uid(), &written.resource_version);
        }
    }
}
