//! The conditions of a ReplicaSet's status.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The type of the condition that says pods could not be created or deleted.
pub const REPLICA_FAILURE: &str = "ReplicaFailure";

/// A condition that is `True` since `now`.
pub fn new_condition(
    kind: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> ReplicaSetCondition {
    ReplicaSetCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some(Time(whole_seconds(now))),
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        message: Some(message).filter(|message| !message.is_empty()),
    }
}

/// The condition of a type.
pub fn get_condition<'a>(
    status: &'a ReplicaSetStatus,
    kind: &str,
) -> Option<&'a ReplicaSetCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind)
}

/// Puts `condition` in the place of the one of its type.
///
/// One with the same status and reason stays as it is, with its old message and time.
pub fn set_condition(status: &mut ReplicaSetStatus, condition: ReplicaSetCondition) {
    let unchanged = get_condition(status, &condition.type_).is_some_and(|present| {
        present.status == condition.status && present.reason == condition.reason
    });
    if !unchanged {
        remove_condition(status, &condition.type_);
        status.conditions.get_or_insert_default().push(condition);
    }
}

/// Removes the condition of a type.
pub fn remove_condition(status: &mut ReplicaSetStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}

/// Times in the API have no fractions of a second.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("the whole second of a timestamp is in range")
}
