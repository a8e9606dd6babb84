use std::collections::HashMap;

use crate::runtime::ContainerId;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether a container is to be restarted.
    Liveness,
    /// Whether a container can serve.
    Readiness,
    /// Whether a container is up, so that the other probes may begin.
    Startup,
}

/// What a probe came to, after its thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeOutcome {
    /// All is well.
    Success,
    /// It is not.
    Failure,
    /// It cannot be told yet.
    Unknown,
}

/// What the probes of containers came to.
///
/// Answers to kubelet's three `results.Manager`s. Closures of the same shape are such, and maps.
pub trait ProbeResults {
    /// What the probe of a kind came to for a container; `None` if there was no result yet.
    fn result(&self, kind: ProbeKind, id: &ContainerId) -> Option<ProbeOutcome>;
}

impl<F> ProbeResults for F
where
    F: Fn(ProbeKind, &ContainerId) -> Option<ProbeOutcome>,
{
    fn result(&self, kind: ProbeKind, id: &ContainerId) -> Option<ProbeOutcome> {
        self(kind, id)
    }
}

impl ProbeResults for HashMap<(ProbeKind, ContainerId), ProbeOutcome> {
    fn result(&self, kind: ProbeKind, id: &ContainerId) -> Option<ProbeOutcome> {
        self.get(&(kind, id.clone())).copied()
    }
}
