use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::view::{View, find};
use crate::pod::{
    ContainerKind, FAILED, PENDING, RUNNING, RestartPolicy, SUCCEEDED, containers, is_static,
};

/// Whether the containers of a pod may still be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// They may, as the pod's restart policy has it.
    Ongoing,
    /// They are not, whatever the policy: the pod has been terminated.
    Over,
}

/// The phase of a pod whose containers have these statuses.
///
/// Answers to kubelet's `getPhase`.
pub fn pod_phase(pod: &Pod, statuses: &[ContainerStatus], course: Course) -> &'static str {
    let policy = RestartPolicy::of(pod);
    let tally = Tally::of(pod, statuses);

    if tally.failed_init > 0 && policy == RestartPolicy::Never {
        return FAILED;
    }
    // Once a regular container was started the pod was initialized; sidecars that restart take
    // nothing from that.
    let is_initializing = tally.pending_init > 0 && !any_regular_started(pod, statuses);
    if is_initializing || tally.waiting > 0 || tally.unknown > 0 {
        return PENDING;
    }
    if tally.running > 0 {
        return RUNNING;
    }
    if tally.stopped == 0 {
        return PENDING;
    }
    let how = if tally.stopped == tally.succeeded {
        SUCCEEDED
    } else {
        FAILED
    };
    // A static pod starts anew with the next agent, so that its end is not the end.
    if course == Course::Over && !is_static(pod) {
        return how;
    }
    match policy {
        RestartPolicy::Always => RUNNING,
        RestartPolicy::OnFailure if how == FAILED => RUNNING,
        RestartPolicy::OnFailure | RestartPolicy::Never => how,
    }
}

/// Whether a regular container runs or has run to an end: the init containers were done.
pub(super) fn any_regular_started(pod: &Pod, statuses: &[ContainerStatus]) -> bool {
    let spec = pod.spec.as_ref();
    let regular = spec.map(|spec| spec.containers.as_slice());
    let mut regular = regular.unwrap_or_default().iter();
    regular.any(|container| {
        let status = find(statuses, &container.name);
        status.is_some_and(|status| matches!(View::of(status), View::Running | View::Terminated(_)))
    })
}

/// How many containers are in which state.
#[derive(Default)]
struct Tally {
    pending_init: usize,
    failed_init: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    succeeded: usize,
}

impl Tally {
    fn of(pod: &Pod, statuses: &[ContainerStatus]) -> Self {
        let mut tally = Self::default();
        for container in containers(pod) {
            let status = find(statuses, &container.spec.name);
            match container.kind {
                ContainerKind::Init => tally.init(status),
                ContainerKind::Sidecar => tally.sidecar(status),
                ContainerKind::Regular => tally.regular(status),
                ContainerKind::Ephemeral => {}
            }
        }
        tally
    }

    fn init(&mut self, status: Option<&ContainerStatus>) {
        match status.map(View::of) {
            Some(View::Terminated(end) | View::Waiting(Some(end))) => {
                self.failed_init += usize::from(end.exit_code != 0);
            }
            _ => self.pending_init += 1,
        }
    }

    fn sidecar(&mut self, status: Option<&ContainerStatus>) {
        match status.map(|status| (View::of(status), status.started)) {
            None => self.unknown += 1,
            Some((View::Running, started)) => {
                self.running += 1;
                self.pending_init += usize::from(started != Some(true));
            }
            // One that ended says nothing of the pod.
            Some((View::Terminated(_) | View::Waiting(Some(_)), _)) => {}
            Some((View::Waiting(None), _)) => {
                self.pending_init += 1;
                self.waiting += 1;
            }
            Some((View::Unsaid, _)) => {
                self.pending_init += 1;
                self.unknown += 1;
            }
        }
    }

    fn regular(&mut self, status: Option<&ContainerStatus>) {
        match status.map(View::of) {
            Some(View::Running) => self.running += 1,
            Some(View::Terminated(end)) => {
                self.stopped += 1;
                self.succeeded += usize::from(end.exit_code == 0);
            }
            Some(View::Waiting(Some(_))) => self.stopped += 1,
            Some(View::Waiting(None)) => self.waiting += 1,
            Some(View::Unsaid) | None => self.unknown += 1,
        }
    }
}
