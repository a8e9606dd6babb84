use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::{Rejection, Shortage};
use crate::pod::is_critical;
use crate::resources::{PodAmounts, QosClass};
use crate::status::Eviction;

/// Why pods are ended for a critical one, in their statuses and in events.
const PREEMPTING: &str = "Preempting";
const MESSAGE: &str = "Preempted in order to admit critical pod";
const DISRUPTION: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";

/// What is told of a pod that was ended to make room for a critical one.
pub fn preempted() -> Eviction {
    Eviction {
        reason: PREEMPTING.into(),
        message: MESSAGE.into(),
        disruption: Some(DISRUPTION.into()),
    }
}

/// The pods that make room for a critical one, so that it is short of nothing any more: as few as
/// may be, those of lesser quality of service first.
///
/// Answers to kubelet's `getPodsToPreempt`.
pub(super) fn pods_to_preempt(
    pod: &Pod,
    others: &[Arc<Pod>],
    shortages: &[Shortage],
) -> Result<Vec<Arc<Pod>>, Rejection> {
    let lacking: Vec<_> = shortages.iter().map(Lack::of).collect();
    let candidates = others.iter().filter(|other| gives_way(other, pod));
    let candidates: Vec<_> = candidates.map(Candidate::of).collect();
    let of_class = |class| {
        let of_class = candidates.iter().filter(|it| it.class == class);
        of_class.collect::<Vec<_>>()
    };
    let best_effort = of_class(QosClass::BestEffort);
    let burstable = of_class(QosClass::Burstable);
    let guaranteed = of_class(QosClass::Guaranteed);

    let all: Vec<_> = candidates.iter().collect();
    let missing = left(&lacking, &all);
    if !missing.is_empty() {
        return Err(unreclaimable(&missing));
    }
    // Of each class only what all of the lesser ones together do not give; then of the lesser ones
    // only what those that have to go leave to be found.
    let rest = left(&lacking, &[&best_effort[..], &burstable[..]].concat());
    let guaranteed = nearest(guaranteed, rest)?;
    let rest = left(&lacking, &[&best_effort[..], &guaranteed[..]].concat());
    let burstable = nearest(burstable, rest)?;
    let rest = left(&lacking, &[&burstable[..], &guaranteed[..]].concat());
    let best_effort = nearest(best_effort, rest)?;
    let chosen = best_effort.into_iter().chain(burstable).chain(guaranteed);
    Ok(chosen.map(|it| it.pod.clone()).collect())
}

/// How much is lacking of a resource.
#[derive(Clone, Debug)]
struct Lack {
    resource: String,
    amount: i64,
}

/// A pod that may have to go.
struct Candidate {
    pod: Arc<Pod>,
    class: QosClass,
    requests: PodAmounts,
}

impl Lack {
    fn of(shortage: &Shortage) -> Self {
        Self {
            resource: shortage.resource.clone(),
            amount: shortage.wanted - (shortage.capacity - shortage.used),
        }
    }
}

impl Candidate {
    fn of(pod: &Arc<Pod>) -> Self {
        Self {
            pod: pod.clone(),
            class: QosClass::of(pod),
            requests: PodAmounts::of(pod),
        }
    }

    /// How much of a resource there is more without it.
    fn gives(&self, resource: &str) -> i64 {
        match resource {
            "pods" => 1,
            "cpu" => self.requests.request("cpu").milli_value(),
            other => self.requests.request(other).value(),
        }
    }

    /// By how much it fails to give what is lacking: each resource counts as much as any other.
    fn distance(&self, lacking: &[Lack]) -> f64 {
        let distances = lacking.iter().map(|lack| {
            let rest = lack.amount - self.gives(&lack.resource);
            #[expect(
                clippy::cast_precision_loss,
                reason = "how far it is need not be exact"
            )]
            let part = rest.max(0) as f64 / lack.amount as f64;
            part * part
        });
        distances.sum()
    }

    /// What it asks for, by what one of two that give as much is chosen: the smaller goes.
    fn size(&self) -> (i64, i64) {
        (self.gives("memory"), self.gives("cpu"))
    }
}

/// Whether a pod makes room for another.
///
/// Answers to kubelet's `Preemptable`.
fn gives_way(pod: &Pod, to: &Pod) -> bool {
    if is_critical(to) && !is_critical(pod) {
        return true;
    }
    let priority = |pod: &Pod| pod.spec.as_ref()?.priority;
    priority(to)
        .zip(priority(pod))
        .is_some_and(|(to, own)| to > own)
}

/// What is lacking without these.
fn left(lacking: &[Lack], without: &[&Candidate]) -> Vec<Lack> {
    let left = lacking.iter().filter_map(|lack| {
        let given: i64 = without.iter().map(|it| it.gives(&lack.resource)).sum();
        let amount = lack.amount.saturating_sub(given);
        (amount > 0).then(|| Lack {
            amount,
            ..lack.clone()
        })
    });
    left.collect()
}

/// Those of the pods that give what is lacking, each time the one that gives most of what is left.
///
/// Answers to kubelet's `getPodsToPreemptByDistance`.
fn nearest(
    mut pods: Vec<&Candidate>,
    mut lacking: Vec<Lack>,
) -> Result<Vec<&Candidate>, Rejection> {
    let mut chosen = Vec::new();
    while !lacking.is_empty() {
        let order = |one: &&Candidate, other: &&Candidate| {
            let distances = (one.distance(&lacking), other.distance(&lacking));
            let by_distance = distances.0.total_cmp(&distances.1);
            by_distance.then_with(|| one.size().cmp(&other.size()))
        };
        let best = (0..pods.len()).min_by(|a, b| order(&pods[*a], &pods[*b]));
        let Some(best) = best else {
            return Err(unreclaimable(&lacking));
        };
        let best = pods.swap_remove(best);
        lacking = left(&lacking, &[best]);
        chosen.push(best);
    }
    Ok(chosen)
}

fn unreclaimable(missing: &[Lack]) -> Rejection {
    let each = missing
        .iter()
        .map(|Lack { resource, amount }| format!("(res: {resource}, q: {amount}), "));
    let missing: String = each.collect();
    Rejection::new(
        "UnexpectedAdmissionError",
        format!(
            "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [{missing}]"
        ),
    )
}
