use std::cmp::Reverse;

use crate::runtime::{ContainerId, ObservedPod, RuntimeState};

/// The containers of a pod that can go after one of them has died: those that have ended and have
/// its name, but the newest `keep`. Without one, of all names together; nothing if the runtime does
/// not have it.
///
/// Answers to kubelet's `getContainersToDeleteInPod`.
pub fn dead_containers(observed: &ObservedPod, of: Option<&str>, keep: usize) -> Vec<ContainerId> {
    let mut containers = observed.containers.iter();
    let name = match of.map(|id| containers.find(|it| &*it.id.id == id)) {
        Some(None) => return Vec::new(),
        Some(Some(died)) => Some(&died.name),
        None => None,
    };
    let dead = observed.containers.iter().filter(|container| {
        let is_named = name.is_none_or(|name| *name == container.name);
        is_named && container.state == RuntimeState::Exited
    });
    let mut dead: Vec<_> = dead.collect();
    dead.sort_by_key(|container| Reverse((container.restart_count, container.created_at)));
    let old = dead.into_iter().skip(keep);
    old.map(|container| container.id.clone()).collect()
}
