use std::collections::HashMap;
use std::fmt;

use crate::pod::PodUid;
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

/// The result of a probe has changed; the first one is a change as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeUpdate {
    /// What the probe is for.
    pub kind: ProbeKind,
    /// What it came to.
    pub outcome: ProbeOutcome,
    /// Which container was probed.
    pub container: ContainerId,
    /// The pod that it is in.
    pub pod: PodUid,
}

impl ProbeKind {
    /// All there are, in the order in which a container comes to need them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];
}

/// As events have it: `Liveness`, `Readiness`, `Startup`.
impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
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
