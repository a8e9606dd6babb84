use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::Object;

use crate::claim::{Claim, Claimant};
use crate::pod::PodView;

/// The pods that concern a set in one sync, and what it does about each.
#[derive(Debug, Default)]
pub struct Roster {
    /// The active pods that it keeps, adopts or releases.
    pub claims: Vec<(Claim, PodView)>,
    /// How many of its pods are on their way out.
    pub terminating: usize,
}

impl Roster {
    /// Sorts out `pods`, which are the claimant's own and orphans.
    ///
    /// Pods that have ended concern nobody. Bodies are read only of those that do.
    pub fn new(claimant: &Claimant<'_>, pods: impl IntoIterator<Item = Object<Pod>>) -> Self {
        let mut roster = Self::default();
        for pod in pods {
            if pod.meta().is_being_deleted() {
                let leaving = claimant.holds(pod.meta()) && PodView::new(pod).is_terminating();
                roster.terminating += usize::from(leaving);
                continue;
            }
            let claim = claimant.decide(pod.meta());
            if claim == Claim::Ignore {
                continue;
            }
            let pod = PodView::new(pod);
            if pod.is_active() {
                roster.claims.push((claim, pod));
            }
        }
        roster
    }
}
