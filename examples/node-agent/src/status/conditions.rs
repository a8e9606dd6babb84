use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};

use super::generate::init_and_regular;
use super::phase::any_regular_started;
use super::view::find;
use crate::pod::{ContainerKind, FAILED, PodContainer, SUCCEEDED, containers};
use crate::runtime::{ObservedPod, SandboxChange, sandbox_change};

/// A node was found for the pod.
pub const SCHEDULED: &str = "PodScheduled";
/// The pod has a sandbox with a network.
pub const READY_TO_START_CONTAINERS: &str = "PodReadyToStartContainers";
/// All init containers are done.
pub const INITIALIZED: &str = "Initialized";
/// All containers can serve.
pub const CONTAINERS_READY: &str = "ContainersReady";
/// The pod can serve.
pub const READY: &str = "Ready";
/// The pod was ended by somebody else than its owner, and for no fault of its own.
pub const DISRUPTION_TARGET: &str = "DisruptionTarget";

const TERMINATION_BY_KUBELET: &str = "TerminationByKubelet";
const UNKNOWN_CONTAINER_STATUSES: &str = "UnknownContainerStatuses";
const POD_COMPLETED: &str = "PodCompleted";
const POD_FAILED: &str = "PodFailed";
const CONTAINERS_NOT_READY: &str = "ContainersNotReady";
const CONTAINERS_NOT_INITIALIZED: &str = "ContainersNotInitialized";
const READINESS_GATES_NOT_READY: &str = "ReadinessGatesNotReady";

/// Whether a condition is the agent's alone.
pub fn is_owned(condition: &str) -> bool {
    [
        SCHEDULED,
        READY_TO_START_CONTAINERS,
        INITIALIZED,
        CONTAINERS_READY,
        READY,
    ]
    .contains(&condition)
}

/// Whether the pod has a sandbox with a network.
pub fn ready_to_start_containers_condition(pod: &Pod, observed: &ObservedPod) -> PodCondition {
    let is_there = matches!(sandbox_change(pod, observed), SandboxChange::Keep { .. });
    condition(pod, READY_TO_START_CONTAINERS, is_there, "", String::new())
}

/// Whether all init containers are done, and sidecars have started.
pub fn initialized_condition(
    pod: &Pod,
    statuses: Option<&[ContainerStatus]>,
    phase: &str,
) -> PodCondition {
    let is = |status, reason, message| condition(pod, INITIALIZED, status, reason, message);
    let mut init = containers(pod).filter(PodContainer::is_init).peekable();
    let Some(statuses) = statuses else {
        let known = init.peek().is_none();
        let reason = if known {
            ""
        } else {
            UNKNOWN_CONTAINER_STATUSES
        };
        return is(known, reason, String::new());
    };
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for container in init {
        let name = container.spec.name.clone();
        let is_done = |status: &ContainerStatus| match container.kind {
            ContainerKind::Sidecar => status.started == Some(true),
            _ => status.ready,
        };
        match find(statuses, &name) {
            None => unknown.push(name),
            Some(status) if is_done(status) => {}
            Some(_) => incomplete.push(name),
        }
    }
    if phase == SUCCEEDED && unknown.is_empty() {
        return is(true, POD_COMPLETED, String::new());
    }
    let message = complaint(&unknown, &incomplete, "incomplete");
    if message.is_empty() || any_regular_started(pod, statuses) {
        return is(true, "", String::new());
    }
    is(false, CONTAINERS_NOT_INITIALIZED, message)
}

/// Whether all regular containers and sidecars can serve.
pub fn containers_ready_condition(
    pod: &Pod,
    statuses: Option<&[ContainerStatus]>,
    phase: &str,
) -> PodCondition {
    let (is_ready, reason, message) = containers_ready(pod, statuses, phase);
    condition(pod, CONTAINERS_READY, is_ready, reason, message)
}

/// Whether the pod can serve: all containers can, and all readiness gates are open.
pub fn ready_condition(
    pod: &Pod,
    statuses: Option<&[ContainerStatus]>,
    conditions: &[PodCondition],
    phase: &str,
) -> PodCondition {
    let (is_ready, reason, message) = containers_ready(pod, statuses, phase);
    if !is_ready {
        return condition(pod, READY, false, reason, message);
    }
    let spec = pod.spec.as_ref();
    let gates = spec.and_then(|spec| spec.readiness_gates.as_deref());
    let mut closed = Vec::new();
    for gate in gates.unwrap_or_default() {
        let gate = &gate.condition_type;
        match conditions.iter().find(|it| it.type_ == *gate) {
            None => closed.push(format!(
                "corresponding condition of pod readiness gate {gate:?} does not exist."
            )),
            Some(found) if found.status == "True" => {}
            Some(found) => closed.push(format!(
                "the status of pod readiness gate {gate:?} is not \"True\", but {}",
                found.status
            )),
        }
    }
    if closed.is_empty() {
        condition(pod, READY, true, "", String::new())
    } else {
        let message = closed.join(", ");
        condition(pod, READY, false, READINESS_GATES_NOT_READY, message)
    }
}

/// Whether what the API server says of a pod's readiness does not fit its readiness gates any more:
/// somebody else has opened or closed one.
///
/// Answers to kubelet's `NeedToReconcilePodReadiness`.
pub fn needs_readiness_reconcile(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let gates = spec.and_then(|spec| spec.readiness_gates.as_deref());
    let Some(status) = pod
        .status
        .as_ref()
        .filter(|_| gates.is_some_and(|it| !it.is_empty()))
    else {
        return false;
    };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let Some(told) = conditions.iter().find(|it| it.type_ == READY) else {
        return false;
    };
    let statuses = init_and_regular(status);
    let phase = status.phase.as_deref().unwrap_or_default();
    let due = ready_condition(pod, Some(&statuses), conditions, phase);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    told.status != due.status || text(&told.message) != text(&due.message)
}

/// The condition of a pod that is ready no more since it ended in this phase.
pub(super) fn unready_condition(pod: &Pod, type_: &str, phase: &str) -> PodCondition {
    condition(pod, type_, false, end_reason(phase), String::new())
}

/// The condition of a pod that the agent itself ends.
pub(super) fn disruption_condition(pod: &Pod, message: &str) -> PodCondition {
    let reason = TERMINATION_BY_KUBELET;
    condition(pod, DISRUPTION_TARGET, true, reason, message.to_owned())
}

/// A condition of a status by its type.
pub(super) fn find_condition<'s>(status: &'s PodStatus, type_: &str) -> Option<&'s PodCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == type_)
}

/// The condition of a pod that is on this node.
pub(super) fn scheduled_condition(pod: &Pod) -> PodCondition {
    condition(pod, SCHEDULED, true, "", String::new())
}

fn containers_ready(
    pod: &Pod,
    statuses: Option<&[ContainerStatus]>,
    phase: &str,
) -> (bool, &'static str, String) {
    let Some(statuses) = statuses else {
        return (false, UNKNOWN_CONTAINER_STATUSES, String::new());
    };
    let (mut unknown, mut unready) = (Vec::new(), Vec::new());
    let serving = containers(pod)
        .filter(|it| matches!(it.kind, ContainerKind::Sidecar | ContainerKind::Regular));
    for container in serving {
        let name = container.spec.name.clone();
        match find(statuses, &name) {
            None => unknown.push(name),
            Some(status) if status.ready => {}
            Some(_) => unready.push(name),
        }
    }
    if phase == FAILED || (phase == SUCCEEDED && unknown.is_empty()) {
        return (false, end_reason(phase), String::new());
    }
    let message = complaint(&unknown, &unready, "unready");
    if message.is_empty() {
        (true, "", message)
    } else {
        (false, CONTAINERS_NOT_READY, message)
    }
}

fn end_reason(phase: &str) -> &'static str {
    match phase {
        FAILED => POD_FAILED,
        SUCCEEDED => POD_COMPLETED,
        _ => "",
    }
}

/// Which containers keep a condition from being true; empty if none does.
fn complaint(unknown: &[String], lacking: &[String], lack: &str) -> String {
    let unknown = (!unknown.is_empty())
        .then(|| format!("containers with unknown status: [{}]", unknown.join(" ")));
    let lacking = (!lacking.is_empty())
        .then(|| format!("containers with {lack} status: [{}]", lacking.join(" ")));
    let both: Vec<_> = unknown.into_iter().chain(lacking).collect();
    both.join(", ")
}

fn condition(pod: &Pod, type_: &str, is_true: bool, reason: &str, message: String) -> PodCondition {
    PodCondition {
        type_: type_.into(),
        status: if is_true { "True" } else { "False" }.into(),
        reason: (!reason.is_empty()).then(|| reason.into()),
        message: (!message.is_empty()).then_some(message),
        observed_generation: pod.metadata.generation,
        ..Default::default()
    }
}
