//! Regular containers.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{KillReason, PodActions, is_restart_due, regular_containers};
use crate::pod::RestartPolicy;
use crate::probe::{ProbeKind, ProbeOutcome, ProbeResults};
use crate::runtime::{ObservedContainer, ObservedPod, RuntimeState, container_hash};

/// Adds what is to be done about the regular containers of an initialized pod.
pub(super) fn compute(
    pod: &Pod,
    observed: &ObservedPod,
    probes: &dyn ProbeResults,
    actions: &mut PodActions,
) {
    let mut kept = 0;
    for (index, spec) in regular_containers(pod).iter().enumerate() {
        match observed.container(&spec.name) {
            Some(container) if container.state == RuntimeState::Running => {
                match reason_to_kill(spec, container, probes) {
                    None => kept += 1,
                    Some((reason, why)) => kill(pod, index, container, reason, why, actions),
                }
            }
            container if is_restart_due(pod, observed, &spec.name) => {
                actions.containers_to_start.push(index);
                let unknown = container.filter(|it| it.state == RuntimeState::Unknown);
                if let Some(container) = unknown {
                    // It may run after all, and must not run twice.
                    let name = &spec.name;
                    let message =
                        format!("Container {name} is in unknown state, killed before a restart");
                    actions.kill(container, KillReason::Unknown, message);
                }
            }
            _ => {}
        }
    }
    if kept == 0 && actions.containers_to_start.is_empty() {
        actions.kill_pod = true;
        // Sidecars keep no pod alive.
        actions.init_containers_to_start.clear();
    }
}

/// Why a container that runs should not go on.
fn reason_to_kill(
    spec: &Container,
    container: &ObservedContainer,
    probes: &dyn ProbeResults,
) -> Option<(KillReason, &'static str)> {
    let failed = |kind| probes.result(kind, &container.id) == Some(ProbeOutcome::Failure);
    if container.hash != container_hash(spec) {
        Some((KillReason::Changed, "definition changed"))
    } else if failed(ProbeKind::Liveness) {
        Some((KillReason::LivenessProbe, "failed liveness probe"))
    } else if failed(ProbeKind::Startup) {
        Some((KillReason::StartupProbe, "failed startup probe"))
    } else {
        None
    }
}

fn kill(
    pod: &Pod,
    index: usize,
    container: &ObservedContainer,
    reason: KillReason,
    why: &str,
    actions: &mut PodActions,
) {
    let mut message = format!("Container {} {why}", container.name);
    // The spec asks for what has changed, whatever the policy is for containers that end.
    let is_restarted =
        reason == KillReason::Changed || RestartPolicy::of(pod) != RestartPolicy::Never;
    if is_restarted {
        message.push_str(", will be restarted");
        actions.containers_to_start.push(index);
    }
    actions.kill(container, reason, message);
}
