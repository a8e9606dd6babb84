//! What is to be done to the containers of a pod.

mod init;
mod regular;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{
    ContainerId, ObservedContainer, ObservedPod, RuntimeState, SandboxChange, sandbox_change,
};
use crate::pod::{RestartPolicy, is_deleting, is_sidecar};
use crate::probe::ProbeResults;

/// What is to be done to make what runs of a pod what its spec asks for.
///
/// In this order: the pod is killed, or else single containers are; the sandbox is made; ephemeral
/// containers, init containers and regular containers are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodActions {
    /// Whether all containers and sandboxes are to be stopped first.
    pub kill_pod: bool,
    /// What becomes of the sandbox.
    pub sandbox: SandboxAction,
    /// Which ephemeral containers to start, by their place in the spec.
    pub ephemeral_containers_to_start: Vec<usize>,
    /// Which init containers to start, by their place in the spec.
    pub init_containers_to_start: Vec<usize>,
    /// Which regular containers to start, by their place in the spec.
    pub containers_to_start: Vec<usize>,
    /// Which single containers to stop, if the pod is not killed.
    pub containers_to_kill: Vec<ToKill>,
}

/// What becomes of the sandbox of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxAction {
    /// It stays.
    Keep {
        /// What the runtime calls it.
        id: Arc<str>,
    },
    /// A new one is made.
    Create {
        /// What the runtime calls the one before, if there was one.
        old: Option<Arc<str>>,
        /// How many sandboxes the pod had before.
        attempt: u32,
    },
    /// It will not do any more, and nothing needs a new one.
    Abandon {
        /// What the runtime calls it, if there is one.
        old: Option<Arc<str>>,
    },
}

/// A container that is to be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToKill {
    /// Which.
    pub id: ContainerId,
    /// Its name in the pod's spec.
    pub name: Arc<str>,
    /// Why.
    pub reason: KillReason,
    /// Why, for people.
    pub message: String,
}

/// Why a container is stopped while its pod goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillReason {
    /// The spec asks for another one.
    Changed,
    /// Its liveness probe failed.
    LivenessProbe,
    /// Its startup probe failed.
    StartupProbe,
    /// The runtime does not know whether it runs.
    Unknown,
}

/// Says what is to be done about a pod. Pure: it looks at its arguments alone.
///
/// Answers to kubelet's `computePodActions`. Changes of resources in place and restart rules of
/// containers are not supported, see [`check_supported`](crate::pod::check_supported).
pub fn compute_pod_actions(
    pod: &Pod,
    observed: &ObservedPod,
    probes: &dyn ProbeResults,
) -> PodActions {
    match sandbox_change(pod, observed) {
        SandboxChange::Replace { old, attempt } => start_over(pod, observed, old, attempt),
        SandboxChange::Keep { id } => carry_on(pod, observed, probes, id),
    }
}

/// Whether a container that does not run is to be started.
///
/// Answers to kubelet's `ShouldContainerBeRestarted`.
pub fn is_restart_due(pod: &Pod, observed: &ObservedPod, name: &str) -> bool {
    if is_deleting(pod) {
        return false;
    }
    let Some(container) = observed.container(name) else {
        return true;
    };
    match container.state {
        RuntimeState::Running => false,
        RuntimeState::Created | RuntimeState::Unknown => true,
        RuntimeState::Exited => {
            let mut sidecars = init_containers(pod).iter().filter(|spec| is_sidecar(spec));
            sidecars.any(|spec| spec.name == name)
                || RestartPolicy::of(pod).restarts(container.exit_code)
        }
    }
}

impl PodActions {
    fn new(sandbox: SandboxAction) -> Self {
        Self {
            kill_pod: !matches!(sandbox, SandboxAction::Keep { .. }),
            sandbox,
            ephemeral_containers_to_start: Vec::new(),
            init_containers_to_start: Vec::new(),
            containers_to_start: Vec::new(),
            containers_to_kill: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.kill_pod
            && matches!(self.sandbox, SandboxAction::Keep { .. })
            && self.ephemeral_containers_to_start.is_empty()
            && self.init_containers_to_start.is_empty()
            && self.containers_to_start.is_empty()
            && self.containers_to_kill.is_empty()
    }

    fn kill(&mut self, container: &ObservedContainer, reason: KillReason, message: String) {
        self.containers_to_kill.push(ToKill {
            id: container.id.clone(),
            name: container.name.clone(),
            reason,
            message,
        });
    }
}

/// The containers of a pod without a usable sandbox all start anew, those that are done excepted.
fn start_over(
    pod: &Pod,
    observed: &ObservedPod,
    old: Option<Arc<str>>,
    attempt: u32,
) -> PodActions {
    let policy = RestartPolicy::of(pod);
    let abandon = SandboxAction::Abandon { old: old.clone() };
    // Without any container the pod never came to life, and may try again.
    if policy == RestartPolicy::Never && attempt > 0 && !observed.containers.is_empty() {
        return PodActions::new(abandon);
    }

    let regular = regular_containers(pod).iter().enumerate();
    let to_start: Vec<_> = regular
        .filter(|(_, spec)| policy != RestartPolicy::OnFailure || !succeeded(observed, &spec.name))
        .map(|(index, _)| index)
        .collect();
    if to_start.is_empty() && was_initialized(pod, observed) {
        return PodActions::new(abandon);
    }

    let mut actions = PodActions::new(SandboxAction::Create { old, attempt });
    if init_containers(pod).is_empty() {
        actions.containers_to_start = to_start;
    } else {
        actions.init_containers_to_start.push(0);
    }
    actions
}

/// The sandbox stays: each container is looked at by itself.
fn carry_on(
    pod: &Pod,
    observed: &ObservedPod,
    probes: &dyn ProbeResults,
    id: Arc<str>,
) -> PodActions {
    let mut actions = PodActions::new(SandboxAction::Keep { id });
    let spec = pod.spec.as_ref();
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_deref());
    for (index, container) in ephemeral.unwrap_or_default().iter().enumerate() {
        // One that was ever there is not started again.
        if observed.container(&container.name).is_none() {
            actions.ephemeral_containers_to_start.push(index);
        }
    }

    let initialized = init::compute(pod, observed, probes, &mut actions);
    if initialized && !actions.kill_pod {
        regular::compute(pod, observed, probes, &mut actions);
    }
    actions
}

/// Whether a regular container was ever made, which needs the init containers to be done.
fn was_initialized(pod: &Pod, observed: &ObservedPod) -> bool {
    regular_containers(pod).iter().any(|spec| {
        let container = observed.container(&spec.name);
        container.is_some_and(|container| container.state != RuntimeState::Unknown)
    })
}

fn succeeded(observed: &ObservedPod, name: &str) -> bool {
    let container = observed.container(name);
    container.is_some_and(|container| {
        container.state == RuntimeState::Exited && container.exit_code == 0
    })
}

fn init_containers(pod: &Pod) -> &[Container] {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref());
    init.unwrap_or_default()
}

fn regular_containers(pod: &Pod) -> &[Container] {
    let spec = pod.spec.as_ref();
    spec.map(|spec| spec.containers.as_slice())
        .unwrap_or_default()
}
