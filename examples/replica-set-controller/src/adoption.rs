//! Carries out what was decided about the pods that a set claims.

use crate::claim::Claim;
use crate::cluster::Cluster;
use crate::controller::ReplicaSetController;
use crate::error::{ClaimError, ClaimErrors, SyncError};
use crate::event::Answer;
use crate::new_pod::InvalidTemplate;
use crate::owner::{ControllerRef, OwnerPatch};
use crate::pod::PodView;
use crate::replica_set::ReplicaSetView;
use crate::roster::Roster;

impl<C: Cluster> ReplicaSetController<C> {
    /// Adopts and releases, and returns the active pods that are the set's afterwards.
    ///
    /// Before the first adoption the set is read past the caches: one that is gone, that another
    /// has replaced, or that is to go away adopts nothing.
    ///
    /// # Errors
    ///
    /// All that went wrong, once everything was tried. It is fine that a pod is gone, or that
    /// another incarnation is in its place.
    pub(crate) async fn claim(
        &self,
        set: &ReplicaSetView<'_>,
        roster: Roster,
    ) -> Result<Vec<PodView>, SyncError> {
        let mut errors = Vec::new();
        let mut adopter = None;
        let mut claimed = Vec::with_capacity(roster.claims.len());
        for (claim, pod) in roster.claims {
            match claim {
                Claim::Keep => claimed.push(pod),
                Claim::Adopt => {
                    if adopter.is_none() {
                        adopter = Some(self.recheck(set).await);
                    }
                    if let Some(Ok(owner)) = &adopter {
                        match self.adopt(set, &pod, owner).await {
                            Ok(Adoption::Done) => claimed.push(pod),
                            Ok(Adoption::PodIsGone) => {}
                            Err(error) => errors.push(error),
                        }
                    }
                }
                Claim::Release => errors.extend(self.release(set, &pod).await.err()),
                Claim::Ignore => {}
            }
        }
        errors.extend(adopter.and_then(Result::err));
        if errors.is_empty() {
            Ok(claimed)
        } else {
            Err(SyncError::Claim(ClaimErrors(errors)))
        }
    }

    /// Asks the server whether the set is still there to adopt, and says as what.
    async fn recheck(&self, set: &ReplicaSetView<'_>) -> Result<ControllerRef, ClaimError> {
        let live = self.cluster.get_replica_set(set.key()).await;
        let live = live.map_err(ClaimError::Recheck)?;
        let (wanted, found) = (set.meta().uid(), live.meta().uid());
        if wanted != found {
            return Err(ClaimError::Replaced {
                set: set.key().clone(),
                found: found.to_string(),
                wanted: wanted.to_string(),
            });
        }
        if let Some(at) = live.meta().deletion_timestamp() {
            let set = set.key().clone();
            return Err(ClaimError::JustDeleted { set, at });
        }
        ControllerRef::to(&live).ok_or(ClaimError::Template(InvalidTemplate::IncompleteOwner))
    }

    async fn adopt(
        &self,
        set: &ReplicaSetView<'_>,
        pod: &PodView,
        owner: &ControllerRef,
    ) -> Result<Adoption, ClaimError> {
        let patch = OwnerPatch::adopt(pod.meta(), owner);
        match self.cluster.patch_pod(pod.key(), &patch).await {
            Ok(written) => {
                self.wrote_pod(set, &written);
                Ok(Adoption::Done)
            }
            Err(error) if Answer(&error).is_not_found() => Ok(Adoption::PodIsGone),
            Err(error) => Err(ClaimError::Patch(error)),
        }
    }

    async fn release(&self, set: &ReplicaSetView<'_>, pod: &PodView) -> Result<(), ClaimError> {
        let patch = OwnerPatch::release(pod.meta().uid(), &[set.meta().uid()]);
        match self.cluster.patch_pod(pod.key(), &patch).await {
            Ok(written) => {
                self.wrote_pod(set, &written);
                Ok(())
            }
            // Gone, or no longer the incarnation that was the set's.
            Err(error) if matches!(Answer(&error).code(), Some(404 | 422)) => Ok(()),
            Err(error) => Err(ClaimError::Patch(error)),
        }
    }
}

/// What became of an adoption.
enum Adoption {
    /// The pod is the set's.
    Done,
    /// There was nothing to adopt any more.
    PodIsGone,
}
