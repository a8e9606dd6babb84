use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use serde_json::Value;

use super::conditions::{DISRUPTION_TARGET, is_owned};
use crate::patch::canonical;

/// Whether a status says nothing new of what the agent says.
///
/// Conditions and claims of others do not count, nor do the times of conditions, and what is empty
/// is as good as absent.
/// Answers to kubelet's `isPodStatusByKubeletEqual`.
pub(super) fn is_same(old: &PodStatus, new: &PodStatus) -> bool {
    let mut conditions = new.conditions.iter().flatten();
    let are_known = conditions.all(|condition| {
        let is_agents = is_owned(&condition.type_) || condition.type_ == DISRUPTION_TARGET;
        let mut before = old.conditions.iter().flatten();
        let before = before.find(|it| it.type_ == condition.type_);
        !is_agents || before.is_some_and(|before| told(before) == told(condition))
    });
    are_known && of_agent(old) == of_agent(new)
}

fn told(condition: &PodCondition) -> (&str, &str, &str, Option<i64>) {
    (
        &condition.status,
        condition.reason.as_deref().unwrap_or_default(),
        condition.message.as_deref().unwrap_or_default(),
        condition.observed_generation,
    )
}

fn of_agent(status: &PodStatus) -> Value {
    let status = PodStatus {
        conditions: None,
        resource_claim_statuses: None,
        extended_resource_claim_status: None,
        ..status.clone()
    };
    canonical(&status)
}
