//! Init containers and sidecars.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{KillReason, PodActions, init_containers, regular_containers};
use crate::pod::{RestartPolicy, is_sidecar};
use crate::probe::{ProbeKind, ProbeOutcome, ProbeResults};
use crate::runtime::{ObservedContainer, ObservedPod, RuntimeState, container_hash};

/// Adds what is to be done about init containers, and says whether the pod is initialized.
///
/// They are looked at from the last to the first: one that was started proves that those before it
/// were done, even if the runtime has forgotten them. Of those before it only sidecars matter.
pub(super) fn compute(
    pod: &Pod,
    observed: &ObservedPod,
    probes: &dyn ProbeResults,
    actions: &mut PodActions,
) -> bool {
    let init = init_containers(pod);
    if init.is_empty() {
        return true;
    }
    let mut scan = Scan {
        probes,
        may_fail: RestartPolicy::of(pod) != RestartPolicy::Never,
        last: init.len() - 1,
        initialized: has_live_regular_container(pod, observed),
        starts: Vec::new(),
        actions,
    };
    // Whether an init container further down was started, or a regular one lives.
    let mut is_past = scan.initialized;
    for (index, spec) in init.iter().enumerate().rev() {
        let Some(container) = observed.container(&spec.name) else {
            if is_past && is_sidecar(spec) {
                scan.starts.push(index);
            }
            continue;
        };
        if is_sidecar(spec) {
            scan.sidecar(index, spec, container, is_past);
        } else if !is_past && !scan.init_container(index, spec, container) {
            scan.actions.kill_pod = true;
            return false;
        }
        is_past = true;
    }
    if !is_past {
        scan.starts.push(0);
    }
    let Scan {
        initialized,
        mut starts,
        ..
    } = scan;
    starts.reverse();
    actions.init_containers_to_start = starts;
    initialized
}

/// What has come of looking at init containers so far.
struct Scan<'a> {
    probes: &'a dyn ProbeResults,
    /// Whether an init container that failed is run again.
    may_fail: bool,
    /// The place of the last init container.
    last: usize,
    initialized: bool,
    /// Which to start, the last one first.
    starts: Vec<usize>,
    actions: &'a mut PodActions,
}

impl Scan<'_> {
    /// Looks at the furthest init container that was started. Returns whether the pod may go on.
    fn init_container(
        &mut self,
        index: usize,
        spec: &Container,
        container: &ObservedContainer,
    ) -> bool {
        match container.state {
            // The runtime could not start it.
            RuntimeState::Created => self.starts.push(index),
            RuntimeState::Running => {}
            RuntimeState::Exited if container.exit_code == 0 => self.done(index),
            RuntimeState::Exited | RuntimeState::Unknown if !self.may_fail => return false,
            RuntimeState::Exited => self.starts.push(index),
            RuntimeState::Unknown => self.restart_unknown(index, spec, container),
        }
        true
    }

    fn sidecar(
        &mut self,
        index: usize,
        spec: &Container,
        container: &ObservedContainer,
        is_past: bool,
    ) {
        match container.state {
            RuntimeState::Created | RuntimeState::Exited => self.starts.push(index),
            RuntimeState::Unknown => self.restart_unknown(index, spec, container),
            RuntimeState::Running => self.running_sidecar(index, spec, container, is_past),
        }
    }

    fn running_sidecar(
        &mut self,
        index: usize,
        spec: &Container,
        container: &ObservedContainer,
        is_past: bool,
    ) {
        let name = &spec.name;
        if spec.startup_probe.is_some() {
            match self.probes.result(ProbeKind::Startup, &container.id) {
                Some(ProbeOutcome::Success) => {}
                Some(ProbeOutcome::Failure) => {
                    let message = format!("Init container {name} failed startup probe");
                    self.restart(index, container, KillReason::StartupProbe, message);
                    return;
                }
                Some(ProbeOutcome::Unknown) | None => return,
            }
        }
        if index == self.last || !is_past {
            self.done(index);
        }
        let liveness = self.probes.result(ProbeKind::Liveness, &container.id);
        if container.hash != container_hash(spec) {
            let message = format!("Init container {name} definition changed");
            self.restart(index, container, KillReason::Changed, message);
        } else if spec.liveness_probe.is_some() && liveness == Some(ProbeOutcome::Failure) {
            let message = format!("Init container {name} failed liveness probe");
            self.restart(index, container, KillReason::LivenessProbe, message);
        }
    }

    /// It is the next one's turn.
    fn done(&mut self, index: usize) {
        if index == self.last {
            self.initialized = true;
        } else {
            self.starts.push(index + 1);
        }
    }

    fn restart_unknown(&mut self, index: usize, spec: &Container, container: &ObservedContainer) {
        let name = &spec.name;
        let message = format!("Init container {name} is in unknown state, killed before a restart");
        self.restart(index, container, KillReason::Unknown, message);
    }

    fn restart(
        &mut self,
        index: usize,
        container: &ObservedContainer,
        reason: KillReason,
        message: String,
    ) {
        self.actions.kill(container, reason, message);
        self.starts.push(index);
    }
}

/// Whether a regular container was made in this sandbox.
///
/// Those that ended do not tell: they may be of a sandbox before this one.
fn has_live_regular_container(pod: &Pod, observed: &ObservedPod) -> bool {
    regular_containers(pod).iter().any(|spec| {
        let container = observed.container(&spec.name);
        container.is_some_and(|container| {
            matches!(
                container.state,
                RuntimeState::Created | RuntimeState::Running
            )
        })
    })
}
