//! One sync of one set.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use kubewright_cache::{Object, ObjectKey};

use crate::availability::min_next_availability_check;
use crate::caches::Orphans;
use crate::claim::Claimant;
use crate::cluster::Cluster;
use crate::controller::ReplicaSetController;
use crate::error::SyncError;
use crate::pod::PodView;
use crate::replica_set::ReplicaSetView;
use crate::roster::Roster;
use crate::status::{Observation, calculate_status, says_the_same};

/// A sync that has begun: what had to be known before the pods are looked at.
///
/// A pod may come into the cache between the two halves. Were the expectations looked at last,
/// the pod that fulfils them could be missing from those that are counted, and one too many would
/// be created.
#[derive(Debug)]
pub struct Started {
    set: Object<ReplicaSet>,
    scaling: Scaling,
}

/// Whether a sync may create and delete pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// It may.
    Allowed,
    /// It may not: events of earlier creations and deletions are still to come, or the set is to
    /// go away.
    Held,
}

impl Started {
    /// Whether this sync may create and delete pods.
    pub const fn scaling(&self) -> Scaling {
        self.scaling
    }
}

impl<C: Cluster> ReplicaSetController<C> {
    /// Brings the pods and the status of a set up to date; returns when to look again, if time
    /// alone will change something.
    ///
    /// # Errors
    ///
    /// [`SyncError`]; the sync is to be tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons API calls that are under way. The set then waits for events of
    /// pods that may never have been created, for as long as
    /// [`Config::expectations_timeout`](crate::Config::expectations_timeout).
    pub async fn sync(&self, key: &ObjectKey) -> Result<Option<Duration>, SyncError> {
        match self.begin(key) {
            Some(started) => self.finish(started).await,
            None => Ok(None),
        }
    }

    /// The first half of [`sync`](Self::sync); `None` if the set is gone.
    pub fn begin(&self, key: &ObjectKey) -> Option<Started> {
        let Some(set) = self.caches.sets.get(key) else {
            self.expectations.forget(key);
            self.own_writes.clear(key, None);
            return None;
        };
        let scaling = if self.expectations.satisfied(key) && !set.meta().is_being_deleted() {
            Scaling::Allowed
        } else {
            Scaling::Held
        };
        Some(Started { set, scaling })
    }

    /// The second half of [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// As of [`sync`](Self::sync).
    pub async fn finish(&self, started: Started) -> Result<Option<Duration>, SyncError> {
        let Started { set, scaling } = started;
        let body = set.body();
        // Trying again would help neither of these: there will be an event when the set changes.
        let set = match ReplicaSetView::new(&set, &body) {
            Ok(view) => view,
            Err(error) => {
                tracing::error!(set = %set.key(), %error, "the set cannot be read");
                return Ok(None);
            }
        };
        let selector = match set.selector() {
            Ok(selector) => selector,
            Err(error) => {
                tracing::error!(set = %set.key(), %error, "the set's selector is invalid");
                return Ok(None);
            }
        };
        let claimant = Claimant {
            uid: set.meta().uid(),
            namespace: set.meta().namespace(),
            being_deleted: set.meta().is_being_deleted(),
            selector: &selector,
        };
        let pods = self.caches.pods_by_owner(set.meta(), Orphans::Included);
        let roster = Roster::new(&claimant, pods);
        let terminating = self.config.gates.terminating_replicas;
        let terminating = terminating.then_some(roster.terminating);
        let pods = self.claim(&set, roster).await?;

        let scaled = match scaling {
            Scaling::Allowed => self.scale(&set, &pods).await,
            Scaling::Held => Ok(()),
        };
        let failure = scaled.as_ref().err().map(ToString::to_string);
        let at = self.clock.now();
        let observation = Observation {
            pods: &pods,
            terminating,
            failure: failure.as_deref(),
            at,
        };
        let status = calculate_status(&set, &observation)?;
        self.update_status(&set, &status).await?;
        scaled?;
        Ok(self.next_check(&set, &pods, &status, at))
    }

    /// Writes the status, if there is news; once more, on top of what the server has, if that
    /// fails.
    ///
    /// # Errors
    ///
    /// That of the second try, or of reading what the server has.
    pub async fn update_status(
        &self,
        set: &ReplicaSetView<'_>,
        status: &ReplicaSetStatus,
    ) -> Result<(), SyncError> {
        if says_the_same(set.status(), status) {
            return Ok(());
        }
        let mut outcome = self.cluster.update_status(set.object(), status).await;
        if outcome.is_err() {
            let live = self.cluster.get_replica_set(set.key()).await;
            let live = live.map_err(SyncError::Status)?;
            // The status of this set is none of another incarnation's business.
            if live.meta().uid() == set.meta().uid() {
                outcome = self.cluster.update_status(&live, status).await;
            }
        }
        let written = outcome.map_err(SyncError::Status)?;
        self.wrote_set(set, &written);
        Ok(())
    }

    /// When a pod becomes available merely because time passes.
    fn next_check(
        &self,
        set: &ReplicaSetView<'_>,
        pods: &[PodView],
        status: &ReplicaSetStatus,
        evaluated: Timestamp,
    ) -> Option<Duration> {
        let min_ready = set.min_ready();
        if min_ready.is_zero() || status.ready_replicas == status.available_replicas {
            return None;
        }
        let next = min_next_availability_check(pods, min_ready, evaluated, self.clock.now());
        Some(next.unwrap_or(min_ready))
    }
}
