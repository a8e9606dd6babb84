//! Creates what is missing and deletes what is too much.

use std::cmp::Ordering;

use futures::future::join_all;
use kubewright_cache::ObjectKey;
use kubewright_controller::Pending;

use crate::cluster::Cluster;
use crate::controller::ReplicaSetController;
use crate::error::SyncError;
use crate::event::{Answer, SetEvent};
use crate::new_pod::NewPod;
use crate::pod::PodView;
use crate::ranking::DeletionOrder;
use crate::replica_set::ReplicaSetView;
use crate::slow_start::slow_start_batch;

/// The cause of a refusal to create anything in a namespace that goes away.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

impl<C: Cluster> ReplicaSetController<C> {
    /// Brings the number of `pods`, the set's active ones, closer to what is wanted: by at most a
    /// burst, the outcome of which is then awaited.
    pub(crate) async fn scale(
        &self,
        set: &ReplicaSetView<'_>,
        pods: &[PodView],
    ) -> Result<(), SyncError> {
        let (present, wanted) = (pods.len(), set.replicas());
        let burst = self.config.burst.get();
        match present.cmp(&wanted) {
            Ordering::Less => self.create(set, (wanted - present).min(burst)).await,
            Ordering::Equal => Ok(()),
            Ordering::Greater => self.delete(set, pods, (present - wanted).min(burst)).await,
        }
    }

    async fn create(&self, set: &ReplicaSetView<'_>, count: usize) -> Result<(), SyncError> {
        let pod = NewPod::of(set)?;
        let key = set.key();
        tracing::debug!(%key, count, "too few replicas");
        self.expectations.expect_creations(key, count);
        let initial = self.config.initial_batch.get();
        let outcome = slow_start_batch(count, initial, || self.create_one(set, &pod)).await;
        // Nobody will ever see the pods that were not created, or not even tried.
        let unseen = count - outcome.successes;
        self.expectations.lower(
            key,
            Pending::new(i64::try_from(unseen).unwrap_or(i64::MAX), 0),
        );
        outcome.error.map_or(Ok(()), Err)
    }

    async fn create_one(&self, set: &ReplicaSetView<'_>, pod: &NewPod) -> Result<(), SyncError> {
        let namespace = set.meta().namespace().unwrap_or_default();
        match self.cluster.create_pod(namespace, pod).await {
            Ok(written) => {
                self.wrote_pod(set, &written);
                let event = SetEvent::Created { pod: &written.name };
                self.cluster.record(set.object(), &event);
                Ok(())
            }
            // Nothing will ever succeed there again. That the pod is expected none the less keeps
            // the set quiet until it goes away, too.
            Err(error) if Answer(&error).has_cause(NAMESPACE_TERMINATING) => Ok(()),
            Err(error) => {
                let event = SetEvent::CreateFailed {
                    error: Answer(&error),
                };
                self.cluster.record(set.object(), &event);
                Err(SyncError::Create(error))
            }
        }
    }

    async fn delete(
        &self,
        set: &ReplicaSetView<'_>,
        pods: &[PodView],
        count: usize,
    ) -> Result<(), SyncError> {
        let key = set.key();
        tracing::debug!(%key, count, "too many replicas");
        let chosen = self.choose(set, pods, count);
        self.expectations.expect_deletions(key, pod_keys(&chosen));
        let deletions = chosen.iter().map(|pod| self.delete_one(set, pod));
        // They are likely to be all the same, and each was told of.
        let failure = join_all(deletions).await.into_iter().find_map(Result::err);
        failure.map_or(Ok(()), Err)
    }

    /// The pods that go first.
    fn choose<'p>(
        &self,
        set: &ReplicaSetView<'_>,
        pods: &'p [PodView],
        count: usize,
    ) -> Vec<&'p PodView> {
        if count >= pods.len() {
            return pods.iter().collect();
        }
        let now = self.clock.now();
        let related = self.caches.related_pods(set.meta());
        let chosen = DeletionOrder::new(&self.config.gates, now).first(pods, &related, count);
        self.metrics.observe_deletions(pods, &chosen, now);
        chosen
    }

    async fn delete_one(&self, set: &ReplicaSetView<'_>, pod: &PodView) -> Result<(), SyncError> {
        let Err(error) = self.cluster.delete_pod(pod.key()).await else {
            let pod = pod.meta().name();
            self.cluster
                .record(set.object(), &SetEvent::Deleted { pod });
            return Ok(());
        };
        // No event will come of it, or one came already.
        self.expectations.deletion_observed(set.key(), pod.key());
        if Answer(&error).is_not_found() {
            return Ok(());
        }
        let event = SetEvent::DeleteFailed {
            error: Answer(&error),
        };
        self.cluster.record(set.object(), &event);
        Err(SyncError::Delete(error))
    }
}

/// The keys of pods, as deletions are expected by.
pub fn pod_keys(pods: &[&PodView]) -> Vec<ObjectKey> {
    pods.iter().map(|pod| pod.key().clone()).collect()
}
