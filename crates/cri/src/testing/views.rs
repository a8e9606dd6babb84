//! What lists and statistics show of the state.

use super::state::{Container, State};
use crate::v1;

pub(super) fn listed(container: &Container) -> v1::Container {
    let status = &container.status;
    v1::Container {
        id: status.id.clone(),
        pod_sandbox_id: container.sandbox_id.clone(),
        metadata: status.metadata.clone(),
        image: status.image.clone(),
        image_ref: status.image_ref.clone(),
        state: status.state,
        created_at: status.created_at,
        labels: status.labels.clone(),
        annotations: status.annotations.clone(),
        image_id: status.image_id.clone(),
    }
}

pub(super) fn stats(container: &Container) -> v1::ContainerStats {
    v1::ContainerStats {
        attributes: Some(v1::ContainerAttributes {
            id: container.status.id.clone(),
            metadata: container.status.metadata.clone(),
            labels: container.status.labels.clone(),
            annotations: container.status.annotations.clone(),
        }),
        ..v1::ContainerStats::default()
    }
}

pub(super) fn sandbox_stats(state: &State, id: &str) -> v1::PodSandboxStats {
    let containers = state.containers.values();
    let containers = containers
        .filter(|container| container.sandbox_id == id && container.is_running())
        .map(stats)
        .collect();
    let attributes = state
        .sandboxes
        .get(id)
        .map(|sandbox| v1::PodSandboxAttributes {
            id: id.to_owned(),
            metadata: sandbox.status.metadata.clone(),
            labels: sandbox.status.labels.clone(),
            annotations: sandbox.status.annotations.clone(),
        });
    v1::PodSandboxStats {
        attributes,
        linux: Some(v1::LinuxPodSandboxStats {
            containers,
            ..v1::LinuxPodSandboxStats::default()
        }),
    }
}
