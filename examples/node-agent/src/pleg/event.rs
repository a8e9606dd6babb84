use std::sync::Arc;

use crate::pod::PodUid;

/// Something happened to a container or a sandbox of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodLifecycleEvent {
    /// The pod.
    pub pod: PodUid,
    /// What the runtime calls the container or the sandbox.
    pub container: Arc<str>,
    /// What happened.
    pub change: LifecycleChange,
}

/// What happens to containers and sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifecycleChange {
    /// It runs, and did not before.
    Started,
    /// It does not run any more.
    Died,
    /// Nobody knows what became of it, or it was made and not started. Nobody is told: it does not
    /// help anybody.
    Changed,
    /// It is gone.
    Removed,
}

impl LifecycleChange {
    /// Whether the pod has to be looked at for it. What is gone has died before.
    pub fn is_worth_a_sync(self) -> bool {
        self != Self::Removed
    }
}
