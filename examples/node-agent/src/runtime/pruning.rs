use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;

use super::{ContainerId, ObservedPod, RuntimeState};
use crate::pod::{PodContainer, containers};

/// The init containers that ended and of whose name there is a newer one that ended.
///
/// They are removed before containers are started, ahead of the garbage collection.
/// Answers to kubelet's `pruneInitContainersBeforeStart`.
pub fn superseded_init_containers(pod: &Pod, observed: &ObservedPod) -> Vec<ContainerId> {
    let mut seen = HashSet::new();
    let ended = of_init_containers(pod, observed)
        .filter(|(_, state)| matches!(state, RuntimeState::Exited | RuntimeState::Unknown));
    let older = ended.filter(|((_, name), _)| !seen.insert(*name));
    older.map(|((id, _), _)| id.clone()).collect()
}

/// All init containers that there are of a pod whose sandbox is made anew: they run again.
///
/// Answers to kubelet's `purgeInitContainers`.
pub fn unneeded_init_containers(pod: &Pod, observed: &ObservedPod) -> Vec<ContainerId> {
    of_init_containers(pod, observed)
        .map(|((id, _), _)| id.clone())
        .collect()
}

fn of_init_containers<'a>(
    pod: &Pod,
    observed: &'a ObservedPod,
) -> impl Iterator<Item = ((&'a ContainerId, &'a str), RuntimeState)> {
    let names: HashSet<_> = containers(pod)
        .filter(PodContainer::is_init)
        .map(|container| container.spec.name.clone())
        .collect();
    let found = observed.containers.iter();
    let found = found.filter(move |container| names.contains(&*container.name));
    found.map(|container| ((&container.id, &*container.name), container.state))
}
