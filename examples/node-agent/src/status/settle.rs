use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::{DISRUPTION_TARGET, find_condition, is_owned};
use super::containers::by_name;
use super::view::end;
use crate::pod::{ContainerKind, RestartPolicy, containers, is_static};

/// How many bytes the last words of all containers of a pod may have together.
const MAX_MESSAGE_BYTES: usize = 12 * 1024;

/// A status says that a container goes on that has ended for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("terminated container {container:?} attempted illegal transition to non-terminated state")]
pub struct IllegalTransition {
    /// Which container.
    pub container: String,
}

/// Fits a new status to the one before.
///
/// The start time is set once; a condition keeps its time while its status stays; times are whole
/// seconds, as they are on the wire; last words are cut to what the API server takes.
///
/// # Errors
///
/// A container goes on that has ended for good. The status is not to be used.
pub fn settle(
    pod: &Pod,
    old: &PodStatus,
    mut new: PodStatus,
    now: Timestamp,
) -> Result<PodStatus, IllegalTransition> {
    // A static pod may begin anew under its uid.
    if !is_static(pod) {
        check_transitions(pod, old, &new)?;
    }
    let now = Time(whole_seconds(now));
    for condition in new.conditions.iter_mut().flatten() {
        if is_owned(&condition.type_) || condition.type_ == DISRUPTION_TARGET {
            set_transition(condition, old, now.0);
        }
    }
    let started_at = old.start_time.clone().or(new.start_time.take());
    new.start_time = Some(started_at.unwrap_or(now));
    normalize(&mut new);
    Ok(new)
}

/// Says since when a condition is as it is: since then if it was so before, else since now.
pub(super) fn set_transition(condition: &mut PodCondition, old: &PodStatus, now: Timestamp) {
    let before = find_condition(old, &condition.type_);
    let unchanged = before.filter(|before| before.status == condition.status);
    let since = unchanged.and_then(|before| before.last_transition_time.clone());
    condition.last_transition_time = Some(since.unwrap_or(Time(whole_seconds(now))));
}

/// Answers to kubelet's `checkContainerStateTransition`.
fn check_transitions(pod: &Pod, old: &PodStatus, new: &PodStatus) -> Result<(), IllegalTransition> {
    let policy = RestartPolicy::of(pod);
    let old_init = old.init_container_statuses.as_deref().unwrap_or_default();
    let new_init = new.init_container_statuses.as_deref().unwrap_or_default();
    let old_regular = old.container_statuses.as_deref().unwrap_or_default();
    let new_regular = new.container_statuses.as_deref().unwrap_or_default();
    let (old_init, new_init) = (by_name(old_init), by_name(new_init));
    let (old_regular, new_regular) = (by_name(old_regular), by_name(new_regular));
    for container in containers(pod) {
        let name = container.spec.name.as_str();
        let (old, new) = match container.kind {
            ContainerKind::Init => (old_init.get(name), new_init.get(name)),
            ContainerKind::Regular => (old_regular.get(name), new_regular.get(name)),
            ContainerKind::Sidecar | ContainerKind::Ephemeral => continue,
        };
        let (Some(old), Some(new)) = (old, new) else {
            continue;
        };
        let ended_for_good = end(old).is_some_and(|end| !policy.restarts(end.exit_code));
        if ended_for_good && end(new).is_none() {
            let container = container.spec.name.clone();
            return Err(IllegalTransition { container });
        }
    }
    Ok(())
}

/// A status as it comes back from the API server: with whole seconds, and last words of no more than
/// the length that it takes.
pub(super) fn normalized(mut status: PodStatus) -> PodStatus {
    normalize(&mut status);
    status
}

/// Answers to kubelet's `normalizeStatus`.
fn normalize(status: &mut PodStatus) {
    truncate(&mut status.start_time);
    for condition in status.conditions.iter_mut().flatten() {
        truncate(&mut condition.last_probe_time);
        truncate(&mut condition.last_transition_time);
    }
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    let count: usize = lists
        .iter()
        .map(|list| list.as_ref().map_or(0, Vec::len))
        .sum();
    let bytes = MAX_MESSAGE_BYTES / count.max(1);
    for status in lists.into_iter().flat_map(|list| list.iter_mut().flatten()) {
        normalize_container(status, bytes);
    }
}

fn normalize_container(status: &mut ContainerStatus, bytes: usize) {
    let states = [&mut status.state, &mut status.last_state];
    for state in states.into_iter().flatten() {
        let ContainerState {
            running,
            terminated,
            ..
        } = state;
        if let Some(running) = running {
            truncate(&mut running.started_at);
        }
        if let Some(terminated) = terminated {
            truncate(&mut terminated.started_at);
            truncate(&mut terminated.finished_at);
            if let Some(message) = &mut terminated.message {
                let mut at = bytes.min(message.len());
                while !message.is_char_boundary(at) {
                    at -= 1;
                }
                message.truncate(at);
            }
        }
    }
}

fn truncate(time: &mut Option<Time>) {
    if let Some(Time(time)) = time {
        *time = whole_seconds(*time);
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
