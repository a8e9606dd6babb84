use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::{ContainerKind, containers};

/// In which order the containers of a pod are stopped when it is killed.
///
/// Sidecars wait for all regular containers, and each for the sidecars after it; the others wait for
/// nothing. Nobody waits longer than its grace.
/// Answers to kubelet's `terminationOrdering`.
#[derive(Clone, Debug)]
pub struct TerminationOrder {
    /// Those that have not ended yet.
    running: BTreeSet<Arc<str>>,
    /// Whom a sidecar waits for.
    prerequisites: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// Whether a container may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopTurn {
    /// Now.
    Now,
    /// When another one has ended, or after this time.
    Later(Duration),
}

impl TerminationOrder {
    /// The order for a pod of which these containers run.
    pub fn new(pod: &Pod, running: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut prerequisites = BTreeMap::new();
        let named = |kind| {
            let of_kind = containers(pod).filter(move |container| container.kind == kind);
            of_kind.map(|container| Arc::<str>::from(container.spec.name.as_str()))
        };
        let regular: Vec<_> = named(ContainerKind::Regular).collect();
        let sidecars: Vec<_> = named(ContainerKind::Sidecar).collect();
        for (index, sidecar) in sidecars.iter().enumerate() {
            let after = sidecars[index + 1..].iter();
            let awaited = regular.iter().chain(after).cloned().collect();
            prerequisites.insert(sidecar.clone(), awaited);
        }
        Self {
            running: running.into_iter().collect(),
            prerequisites,
        }
    }

    /// Whether a container may be stopped that has waited for so long, of so much grace.
    pub fn turn(&self, name: &str, waited: Duration, grace: Duration) -> StopTurn {
        let awaited = self.prerequisites.get(name);
        let is_first =
            awaited.is_none_or(|awaited| awaited.iter().all(|other| !self.running.contains(other)));
        let rest = grace.saturating_sub(waited);
        if is_first || rest.is_zero() {
            StopTurn::Now
        } else {
            StopTurn::Later(rest)
        }
    }

    /// Says that a container has ended.
    pub fn terminated(&mut self, name: &str) {
        self.running.remove(name);
    }
}
