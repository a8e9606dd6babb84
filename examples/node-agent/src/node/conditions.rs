use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{NodeNews, Pressure};

/// The node takes pods.
pub const READY: &str = "Ready";

/// A condition that says whether something is getting short.
struct Kind {
    pressure: Pressure,
    under: Word,
    relieved: Word,
}

struct Word {
    reason: &'static str,
    message: &'static str,
    event: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        pressure: Pressure::Memory,
        under: Word {
            reason: "KubeletHasInsufficientMemory",
            message: "kubelet has insufficient memory available",
            event: "NodeHasInsufficientMemory",
        },
        relieved: Word {
            reason: "KubeletHasSufficientMemory",
            message: "kubelet has sufficient memory available",
            event: "NodeHasSufficientMemory",
        },
    },
    Kind {
        pressure: Pressure::Disk,
        under: Word {
            reason: "KubeletHasDiskPressure",
            message: "kubelet has disk pressure",
            event: "NodeHasDiskPressure",
        },
        relieved: Word {
            reason: "KubeletHasNoDiskPressure",
            message: "kubelet has no disk pressure",
            event: "NodeHasNoDiskPressure",
        },
    },
    Kind {
        pressure: Pressure::Pid,
        under: Word {
            reason: "KubeletHasInsufficientPID",
            message: "kubelet has insufficient PID available",
            event: "NodeHasInsufficientPID",
        },
        relieved: Word {
            reason: "KubeletHasSufficientPID",
            message: "kubelet has sufficient PID available",
            event: "NodeHasSufficientPID",
        },
    },
];

/// The resources that a node takes no pods without.
const REQUIRED: [&str; 4] = ["cpu", "memory", "pods", "ephemeral-storage"];

/// Says of a node what is getting short, and whether it takes pods: it does if there are no
/// problems and its capacity is known. Returns what people are to be told.
///
/// Conditions of others stay; the agent's are in the order in which kubelet has them.
pub fn set_conditions(
    node: &mut Node,
    now: Timestamp,
    pressures: &[Pressure],
    problems: &[String],
) -> Vec<NodeNews> {
    let name = node.metadata.name.clone().unwrap_or_default();
    let status = node.status.get_or_insert_default();
    let mut news = Vec::new();
    for kind in &KINDS {
        let is_under = pressures.contains(&kind.pressure);
        let word = if is_under {
            &kind.under
        } else {
            &kind.relieved
        };
        if set(
            status,
            now,
            kind.pressure.as_str(),
            is_under,
            word.reason,
            word.message,
        ) {
            news.push(NodeNews::status(&name, word.event));
        }
    }
    let mut problems = problems.to_vec();
    problems.extend(missing_capacity(status.capacity.as_ref()));
    problems.dedup();
    let is_ready = problems.is_empty();
    let (reason, message) = match problems.as_slice() {
        [] => ("KubeletReady", "kubelet is posting ready status".to_owned()),
        [problem] => ("KubeletNotReady", problem.clone()),
        problems => ("KubeletNotReady", format!("[{}]", problems.join(", "))),
    };
    if set(status, now, READY, is_ready, reason, &message) {
        let event = if is_ready {
            "NodeReady"
        } else {
            "NodeNotReady"
        };
        news.push(NodeNews::status(&name, event));
    }
    news
}

fn missing_capacity(capacity: Option<&BTreeMap<String, Quantity>>) -> Option<String> {
    let is_missing = |resource: &&str| !capacity.is_some_and(|it| it.contains_key(*resource));
    let missing: Vec<_> = REQUIRED.into_iter().filter(is_missing).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "missing node capacity for resources: {}",
            missing.join(", ")
        )
    })
}

/// Sets a condition and says whether its status is another than before. What was there last comes
/// with the time of its last change.
fn set(
    status: &mut NodeStatus,
    now: Timestamp,
    type_: &str,
    is_true: bool,
    reason: &str,
    message: &str,
) -> bool {
    // The wire has whole seconds.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let conditions = status.conditions.get_or_insert_default();
    let before = conditions.iter_mut().find(|it| it.type_ == type_);
    let mut condition = NodeCondition {
        type_: type_.to_owned(),
        status: if is_true { "True" } else { "False" }.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(now.clone()),
        last_transition_time: Some(now),
    };
    match before {
        Some(before) => {
            let changed = before.status != condition.status;
            if !changed {
                condition
                    .last_transition_time
                    .clone_from(&before.last_transition_time);
            }
            *before = condition;
            changed
        }
        None => {
            conditions.push(condition);
            true
        }
    }
}
