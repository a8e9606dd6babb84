use kubewright_cache::{Metadata, Uid};

use crate::selector::Selector;

/// Who claims pods.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The incarnation that claims.
    pub uid: &'a Uid,
    /// The namespace it claims in; `None` claims in all.
    pub namespace: Option<&'a str>,
    /// Whether it was asked to go away.
    pub being_deleted: bool,
    /// What it selects.
    pub selector: &'a Selector,
}

/// What a claimant does about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The pod is its own and stays so.
    Keep,
    /// The pod has no controller and is to become its own.
    Adopt,
    /// The pod is its own and is not to be any more.
    Release,
    /// The pod is none of its business.
    Ignore,
}

impl Claimant<'_> {
    /// Decides about one pod.
    ///
    /// Answers to `ControllerRefManager.ClaimObject` of Kubernetes 1.36: an owner's pods are kept
    /// as long as they match, also while the owner is being deleted; those that do not match are
    /// released, unless it is; orphans that match are adopted, unless either is being deleted or
    /// the pod is in another namespace.
    pub fn decide(&self, pod: &Metadata) -> Claim {
        let matches = || self.selects(pod);
        match pod.controller_of() {
            Some(owner) if owner.uid != self.uid => Claim::Ignore,
            Some(_) if matches() => Claim::Keep,
            Some(_) if self.being_deleted => Claim::Ignore,
            Some(_) => Claim::Release,
            None if self.being_deleted || pod.is_being_deleted() => Claim::Ignore,
            None if self.namespace.is_some() && self.namespace != pod.namespace() => Claim::Ignore,
            None if matches() => Claim::Adopt,
            None => Claim::Ignore,
        }
    }

    /// Whether a pod is the claimant's and matches its selector, now and without any adoption.
    pub fn holds(&self, pod: &Metadata) -> bool {
        let owned = pod
            .controller_of()
            .is_some_and(|owner| owner.uid == self.uid);
        owned && self.selects(pod)
    }

    fn selects(&self, pod: &Metadata) -> bool {
        self.selector.matches(|key| pod.label(key))
    }
}
