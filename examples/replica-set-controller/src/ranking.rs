use std::cmp::Ordering;

use jiff::Timestamp;

use crate::colocation::colocation_ranks;
use crate::gates::FeatureGates;
use crate::pod::{Phase, PodView, Readiness};

mod merge_sort;

/// The order in which pods are deleted when there are too many.
///
/// Answers to `ActivePodsWithRanks` of Kubernetes 1.36. Each rule speaks only if those before it
/// find no difference; first goes a pod that
///
/// 1. is on no node,
/// 2. is pending, rather than unknown, rather than running,
/// 3. is not ready,
/// 4. has the lower deletion cost,
/// 5. shares its node with more related pods,
/// 6. has been ready for less time, or does not say since when,
/// 7. was restarted more often, its sidecars last,
/// 8. is younger, or does not say how old.
///
/// By rules 6 and 8, ages whose binary logarithms agree differ only by the pods' uids: among pods
/// of about the same age, which one goes is as good as random.
#[derive(Clone, Debug)]
pub struct DeletionOrder {
    cost_counts: bool,
    ages_are_logarithmic: bool,
    now: Timestamp,
}

/// A pod that may be deleted.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The pod.
    pub pod: &'a PodView,
    /// How many related active pods are on its node.
    pub rank: usize,
}

impl DeletionOrder {
    /// The order at a moment, as the feature gates have it.
    pub const fn new(gates: &FeatureGates, now: Timestamp) -> Self {
        Self {
            cost_counts: gates.pod_deletion_cost,
            ages_are_logarithmic: gates.logarithmic_scale_down,
            now,
        }
    }

    /// Which of two pods goes first; `Less` is `one`.
    ///
    /// This is no total order: two pods of one age may be told apart by their restarts, while a
    /// third of about that age stands between them by its uid.
    pub fn compare(&self, one: Candidate<'_>, other: Candidate<'_>) -> Ordering {
        let by = |key: fn(&PodView) -> u8| key(one.pod).cmp(&key(other.pod));
        by(|pod| u8::from(pod.node().is_some()))
            .then_with(|| by(phase_rank))
            .then_with(|| by(|pod| u8::from(pod.is_ready())))
            .then_with(|| self.by_cost(one.pod, other.pod))
            .then_with(|| other.rank.cmp(&one.rank))
            .then_with(|| self.by_readiness(one.pod, other.pod))
            .then_with(|| other.pod.restarts().cmp(&one.pod.restarts()))
            .then_with(|| {
                let created = |pod: &PodView| pod.meta().creation_timestamp();
                self.by_age(one.pod, other.pod, created)
            })
    }

    /// The `count` of `pods` that go first.
    ///
    /// They come in order, unless all of them go: then in the order given.
    pub fn first<'a>(
        &self,
        pods: &'a [PodView],
        related: &[PodView],
        count: usize,
    ) -> Vec<&'a PodView> {
        if count >= pods.len() {
            return pods.iter().collect();
        }
        let ranks = colocation_ranks(pods, related);
        let mut candidates: Vec<_> = pods
            .iter()
            .zip(ranks)
            .map(|(pod, rank)| Candidate { pod, rank })
            .collect();
        merge_sort::sort_by(&mut candidates, |one, other| self.compare(*one, *other));
        candidates.truncate(count);
        candidates.iter().map(|candidate| candidate.pod).collect()
    }

    fn by_cost(&self, one: &PodView, other: &PodView) -> Ordering {
        if self.cost_counts {
            one.deletion_cost().cmp(&other.deletion_cost())
        } else {
            Ordering::Equal
        }
    }

    fn by_readiness(&self, one: &PodView, other: &PodView) -> Ordering {
        match (one.readiness(), other.readiness()) {
            (Readiness::Ready { .. }, Readiness::Ready { .. }) => {
                self.by_age(one, other, |pod| match pod.readiness() {
                    Readiness::Ready { since } => since,
                    Readiness::NotReady => None,
                })
            }
            _ => Ordering::Equal,
        }
    }

    /// The younger first, and before all those without a time.
    fn by_age(
        &self,
        one: &PodView,
        other: &PodView,
        since: fn(&PodView) -> Option<Timestamp>,
    ) -> Ordering {
        match (since(one), since(other)) {
            (Some(a), Some(b)) if a == b => Ordering::Equal,
            (Some(a), Some(b)) if self.ages_are_logarithmic => self
                .magnitude(a)
                .cmp(&self.magnitude(b))
                .then_with(|| one.meta().uid().cmp(other.meta().uid())),
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }

    /// The binary logarithm of an age in nanoseconds; below all others for what is yet to come.
    fn magnitude(&self, since: Timestamp) -> Option<u32> {
        self.now.duration_since(since).as_nanos().checked_ilog2()
    }
}

const fn phase_rank(pod: &PodView) -> u8 {
    match pod.phase() {
        Phase::Unknown => 1,
        Phase::Running => 2,
        // The other ones are not active, or not known to Kubernetes' order either.
        Phase::Pending | Phase::Succeeded | Phase::Failed | Phase::Other => 0,
    }
}
