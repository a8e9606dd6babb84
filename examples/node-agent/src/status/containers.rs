use std::collections::HashMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, Pod, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::StartFailures;
use super::view::{end, find, last_end, unseen_end};
use crate::pod::{ContainerKind, PodContainer, PodUid, containers, is_deleting};
use crate::runtime::{ObservedContainer, ObservedPod, RuntimeState, is_restart_due};

const CONTAINER_CREATING: &str = "ContainerCreating";
const POD_INITIALIZING: &str = "PodInitializing";

const UNSEEN_WHILE_RUNNING: &str = "The container could not be located when the pod was deleted.  The container used to be Running";
pub(super) const UNSEEN_AT_THE_END: &str =
    "The container could not be located when the pod was terminated";

/// The statuses of those containers of a pod that are of some kinds, before probes are asked.
///
/// Init containers come in the order of the spec, others by name.
/// Answers to kubelet's `convertToAPIContainerStatuses`.
pub(super) fn container_statuses(
    pod: &Pod,
    kinds: &[ContainerKind],
    observed: &ObservedPod,
    previous: &[ContainerStatus],
    failures: &StartFailures,
) -> Vec<ContainerStatus> {
    let has_init = containers(pod).any(|container| container.is_init());
    let waiting = if has_init {
        POD_INITIALIZING
    } else {
        CONTAINER_CREATING
    };
    let of_kinds = containers(pod).filter(|container| kinds.contains(&container.kind));
    let mut statuses: Vec<_> = of_kinds
        .map(|container| {
            let old = find(previous, &container.spec.name);
            let mut status = of_container(pod, &container.spec, observed, old, waiting);
            tell_failure(pod, &container, observed, failures, &mut status);
            status
        })
        .collect();
    if !kinds.contains(&ContainerKind::Init) {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
    }
    statuses
}

/// The status of a container, by the two newest that the runtime has of it and its status before.
fn of_container(
    pod: &Pod,
    spec: &Container,
    observed: &ObservedPod,
    old: Option<&ContainerStatus>,
    waiting: &str,
) -> ContainerStatus {
    let mut found = observed
        .containers
        .iter()
        .filter(|it| *it.name == *spec.name);
    let Some(newest) = found.next() else {
        return unseen(pod, spec, old, waiting);
    };
    let mut status = of_observed(spec, newest, old);
    if let Some(before) = found.next() {
        status.last_state = of_observed(spec, before, old).state;
    }
    status
}

/// The status of a container that the runtime does not know.
fn unseen(
    pod: &Pod,
    spec: &Container,
    old: Option<&ContainerStatus>,
    waiting: &str,
) -> ContainerStatus {
    let waiting = ContainerStateWaiting {
        reason: Some(waiting.into()),
        ..Default::default()
    };
    let mut status = ContainerStatus {
        name: spec.name.clone(),
        image: spec.image.clone().unwrap_or_default(),
        state: Some(ContainerState {
            waiting: Some(waiting),
            ..Default::default()
        }),
        volume_mounts: volume_mounts(spec),
        ..Default::default()
    };
    let Some(old) = old else {
        return status;
    };
    if end(old).is_some() {
        return old.clone();
    }
    status.restart_count = old.restart_count;
    status.last_state = old.last_state.clone();
    let was_running = old.state.as_ref().is_some_and(|it| it.running.is_some());
    if was_running && last_end(old).is_none() {
        // It ran and is gone, so that it ended. That it waits now must not make the pod one that
        // never ran.
        status.last_state = Some(unseen_end(UNSEEN_WHILE_RUNNING));
        status.restart_count += i32::from(!is_deleting(pod));
    }
    status
}

fn of_observed(
    spec: &Container,
    container: &ObservedContainer,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let id = container.id.to_string();
    let mut status = ContainerStatus {
        name: spec.name.clone(),
        restart_count: i32::try_from(container.restart_count).unwrap_or(i32::MAX),
        image: container.image.clone(),
        image_id: container.image_id.clone(),
        container_id: Some(id.clone()),
        volume_mounts: volume_mounts(spec),
        ..Default::default()
    };
    let mut state = ContainerState::default();
    let was_running = old.filter(|old| old.state.as_ref().is_some_and(|it| it.running.is_some()));
    match (container.state, was_running) {
        (RuntimeState::Running, _) => {
            let started_at = container.started_at.map(Time);
            state.running = Some(ContainerStateRunning { started_at });
        }
        (RuntimeState::Exited, _) => {
            let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            state.terminated = Some(ContainerStateTerminated {
                exit_code: container.exit_code,
                reason: text(&container.reason),
                message: text(&container.message),
                started_at: container.started_at.map(Time),
                finished_at: container.finished_at.map(Time),
                container_id: Some(id),
                signal: None,
            });
        }
        (RuntimeState::Unknown, Some(old)) => {
            state = unseen_end(UNSEEN_AT_THE_END);
            status.restart_count = old.restart_count.saturating_add(1);
        }
        (RuntimeState::Created | RuntimeState::Unknown, _) => {
            state.waiting = Some(ContainerStateWaiting::default());
        }
    }
    status.state = Some(state);
    // One that was made and not started is removed before it is made anew: that takes back nothing
    // of what was told.
    let told = old.map_or(0, |old| old.restart_count);
    status.restart_count = status.restart_count.max(told);
    status
}

/// A container that is to be started and could not be waits, and tells why.
fn tell_failure(
    pod: &Pod,
    container: &PodContainer<'_>,
    observed: &ObservedPod,
    failures: &StartFailures,
    status: &mut ContainerStatus,
) {
    let name = &container.spec.name;
    let is_done = container.kind == ContainerKind::Init
        && observed
            .container(name)
            .is_some_and(|newest| newest.state == RuntimeState::Exited && newest.exit_code == 0);
    if is_done || !is_restart_due(pod, observed, name) {
        return;
    }
    let Some(failure) = failures.get(&PodUid::of(pod), name) else {
        return;
    };
    if end(status).is_some() {
        status.last_state = status.state.take();
    }
    let waiting = ContainerStateWaiting {
        reason: Some(failure.reason.clone()),
        message: Some(failure.message.clone()).filter(|message| !message.is_empty()),
    };
    status.state = Some(ContainerState {
        waiting: Some(waiting),
        ..Default::default()
    });
}

fn volume_mounts(spec: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = spec.volume_mounts.as_ref()?.iter();
    let mounts = mounts.map(|mount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|is_read_only| *is_read_only),
        // No runtime is asked for more.
        recursive_read_only: mount
            .read_only
            .filter(|is_read_only| *is_read_only)
            .map(|_| "Disabled".to_owned()),
        ..Default::default()
    });
    Some(mounts.collect())
}

/// Statuses by the names of their containers.
pub(super) fn by_name(statuses: &[ContainerStatus]) -> HashMap<&str, &ContainerStatus> {
    let named = statuses.iter();
    named.map(|status| (status.name.as_str(), status)).collect()
}
