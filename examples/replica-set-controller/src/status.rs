use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};

use crate::availability::is_available;
use crate::condition::{
    REPLICA_FAILURE, get_condition, new_condition, remove_condition, set_condition,
};
use crate::pod::PodView;
use crate::replica_set::ReplicaSetView;

/// What a sync saw, for the status to tell.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The set's active pods.
    pub pods: &'a [PodView],
    /// How many of its pods are on their way out; `None` if that is not reported.
    pub terminating: Option<usize>,
    /// Why the number of pods could not be corrected, if it was tried and failed.
    pub failure: Option<&'a str>,
    /// When all this was seen.
    pub at: Timestamp,
}

/// The status that `set` is to have.
///
/// `observedGeneration` is that of `set`, the object that was acted on. The condition
/// `ReplicaFailure` appears with a failure, keeps its first message while failures last, and
/// goes when there is none, also when nothing was tried.
///
/// # Errors
///
/// The JSON error, if the set's template cannot be read.
pub fn calculate_status(
    set: &ReplicaSetView<'_>,
    observation: &Observation<'_>,
) -> Result<ReplicaSetStatus, serde_json::Error> {
    let &Observation {
        pods,
        terminating,
        failure,
        at,
    } = observation;
    let template = set.template()?;
    let count = |is_counted: &dyn Fn(&PodView) -> bool| {
        saturating(pods.iter().filter(|pod| is_counted(pod)).count())
    };
    let mut status = ReplicaSetStatus {
        replicas: saturating(pods.len()),
        fully_labeled_replicas: non_zero(count(&|pod| template.labels_are_in(pod.meta().labels()))),
        ready_replicas: non_zero(count(&PodView::is_ready)),
        available_replicas: non_zero(count(&|pod| is_available(pod, set.min_ready(), at))),
        terminating_replicas: terminating.map(saturating),
        observed_generation: set.meta().generation(),
        conditions: set.status().conditions.clone(),
    };
    match (failure, get_condition(set.status(), REPLICA_FAILURE)) {
        (Some(message), None) => {
            let reason = match pods.len().cmp(&set.replicas()) {
                std::cmp::Ordering::Less => "FailedCreate",
                std::cmp::Ordering::Equal => "",
                std::cmp::Ordering::Greater => "FailedDelete",
            };
            let condition = new_condition(REPLICA_FAILURE, reason, message.to_owned(), at);
            set_condition(&mut status, condition);
        }
        (None, Some(_)) => remove_condition(&mut status, REPLICA_FAILURE),
        (Some(_), Some(_)) | (None, None) => {}
    }
    Ok(status)
}

/// Whether two statuses say the same; an absent count is zero.
pub fn says_the_same(one: &ReplicaSetStatus, other: &ReplicaSetStatus) -> bool {
    let counts = |status: &ReplicaSetStatus| {
        [
            Some(status.replicas),
            Some(status.fully_labeled_replicas.unwrap_or_default()),
            Some(status.ready_replicas.unwrap_or_default()),
            Some(status.available_replicas.unwrap_or_default()),
            // Here absent means not reported.
            status.terminating_replicas,
        ]
    };
    let generation = |status: &ReplicaSetStatus| status.observed_generation.unwrap_or_default();
    counts(one) == counts(other)
        && generation(one) == generation(other)
        && conditions(one) == conditions(other)
}

fn conditions(status: &ReplicaSetStatus) -> &[ReplicaSetCondition] {
    status.conditions.as_deref().unwrap_or_default()
}

fn saturating(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The API leaves these counts out where they are zero.
fn non_zero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
