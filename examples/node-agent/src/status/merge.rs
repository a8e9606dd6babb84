use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::conditions::{CONTAINERS_READY, DISRUPTION_TARGET, READY, is_owned, unready_condition};
use super::settle::set_transition;
use crate::pod::is_phase_terminal;

/// Whether containers of a pod may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containers {
    /// They may.
    MayRun,
    /// None does, and none will.
    Stopped,
}

/// Puts a new status into what the API server has.
///
/// Conditions of others stay as they are there. A terminal phase is withheld while containers may
/// run: who reads it may take it that they do not. That the pod was disrupted is told with that
/// phase, as of `now`. A pod in a terminal phase is not ready.
/// Answers to kubelet's `mergePodStatus`.
pub fn merge(
    pod: &Pod,
    old: &PodStatus,
    mut new: PodStatus,
    containers: Containers,
    now: Timestamp,
) -> PodStatus {
    let ends = !is_phase_terminal(old.phase.as_deref()) && is_phase_terminal(new.phase.as_deref());

    let kept = old.conditions.iter().flatten();
    let mut conditions: Vec<_> = kept.filter(|it| !is_owned(&it.type_)).cloned().collect();
    let is_told = ends && containers == Containers::Stopped;
    for mut condition in new.conditions.take().into_iter().flatten() {
        if is_owned(&condition.type_) {
            conditions.push(condition);
        } else if condition.type_ == DISRUPTION_TARGET && is_told {
            // It was withheld since the end was decided.
            set_transition(&mut condition, old, now);
            conditions.retain(|it| it.type_ != DISRUPTION_TARGET);
            conditions.push(condition);
        }
    }
    // Claims are not the agent's.
    new.resource_claim_statuses
        .clone_from(&old.resource_claim_statuses);
    new.extended_resource_claim_status
        .clone_from(&old.extended_resource_claim_status);

    if ends && containers == Containers::MayRun {
        new.phase.clone_from(&old.phase);
        new.reason.clone_from(&old.reason);
        new.message.clone_from(&old.message);
    }
    if let Some(phase) = new
        .phase
        .as_deref()
        .filter(|phase| is_phase_terminal(Some(phase)))
    {
        for condition in &mut conditions {
            let is_stale = [READY, CONTAINERS_READY].contains(&condition.type_.as_str())
                && condition.status == "True";
            if is_stale {
                *condition = unready_condition(pod, &condition.type_, phase);
            }
        }
    }
    new.conditions = Some(conditions);
    new
}
