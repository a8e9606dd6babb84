use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Metadata, Object, ObjectKey, OwnerReference};

mod facts;

use facts::Facts;

/// The annotation that says how dear a pod is to delete, as a 32-bit integer.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What the controller looks at in a pod.
///
/// Reading it passes once over the pod's JSON and builds only these few values; the pod itself
/// is never decoded.
#[derive(Clone, Debug)]
pub struct PodView {
    object: Object<Pod>,
    facts: Facts,
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers have been started.
    Pending,
    /// Bound to a node, and at least one container runs.
    Running,
    /// All containers ended well, for good.
    Succeeded,
    /// All containers ended, at least one of them badly.
    Failed,
    /// The node cannot be asked.
    Unknown,
    /// Nothing that this controller knows, or nothing yet.
    #[default]
    Other,
}

/// Whether a pod is ready to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// There is no `Ready` condition, or it is not `True`.
    #[default]
    NotReady,
    /// The `Ready` condition is `True`.
    Ready {
        /// Since when, if the condition says so.
        since: Option<Timestamp>,
    },
}

/// How often the containers of a pod were restarted; the more, the earlier the pod is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restarts {
    /// The most that any ordinary container was.
    pub containers: i32,
    /// The most that any sidecar was: an init container that restarts always.
    pub sidecars: i32,
}

impl PodView {
    /// Reads a pod.
    ///
    /// A pod whose body does not decode is taken for one of unknown phase that is not ready and
    /// on no node. It thus counts as active, so that it is not replaced again and again, and is
    /// the first to go when there are too many.
    pub fn new(object: Object<Pod>) -> Self {
        let facts = Facts::read(&object.body()).unwrap_or_else(|error| {
            let pod = object.key();
            tracing::warn!(%pod, %error, "cannot read the pod; it counts as not ready");
            Facts::unreadable()
        });
        Self { object, facts }
    }

    /// The pod in the cache.
    pub const fn object(&self) -> &Object<Pod> {
        &self.object
    }

    /// The pod's metadata.
    pub fn meta(&self) -> &Metadata {
        self.object.meta()
    }

    /// The pod's key.
    pub fn key(&self) -> &ObjectKey {
        self.object.key()
    }

    /// The owner that manages the pod.
    pub fn controller(&self) -> Option<OwnerReference<'_>> {
        self.meta().controller_of()
    }

    /// The node the pod is assigned to.
    pub fn node(&self) -> Option<&str> {
        self.facts.node.as_deref()
    }

    /// Where the pod is in its life.
    pub const fn phase(&self) -> Phase {
        self.facts.phase
    }

    /// Whether the pod is ready to serve.
    pub const fn readiness(&self) -> Readiness {
        self.facts.readiness
    }

    /// Whether the pod is ready to serve, since whenever.
    pub const fn is_ready(&self) -> bool {
        matches!(self.facts.readiness, Readiness::Ready { .. })
    }

    /// How often its containers were restarted.
    pub const fn restarts(&self) -> Restarts {
        self.facts.restarts
    }

    /// What [`POD_DELETION_COST`] says; zero where it is absent or no 32-bit integer in plain
    /// decimal: no leading zeros, no plus sign.
    pub fn deletion_cost(&self) -> i32 {
        let cost = self.meta().annotation(POD_DELETION_COST);
        cost.filter(|cost| is_plain(cost))
            .and_then(|cost| cost.parse().ok())
            .unwrap_or_default()
    }

    /// Whether the pod counts as a replica: not ended, and not asked to go away.
    pub fn is_active(&self) -> bool {
        !self.has_ended() && !self.meta().is_being_deleted()
    }

    /// Whether the pod was asked to go away and has not ended yet.
    pub fn is_terminating(&self) -> bool {
        !self.has_ended() && self.meta().is_being_deleted()
    }

    const fn has_ended(&self) -> bool {
        matches!(self.facts.phase, Phase::Succeeded | Phase::Failed)
    }
}

fn is_plain(number: &str) -> bool {
    match number.as_bytes() {
        [b'0'] => true,
        [first, ..] => matches!(first, b'-' | b'1'..=b'9'),
        [] => false,
    }
}

impl From<Option<&str>> for Phase {
    fn from(phase: Option<&str>) -> Self {
        match phase {
            Some("Pending") => Self::Pending,
            Some("Running") => Self::Running,
            Some("Succeeded") => Self::Succeeded,
            Some("Failed") => Self::Failed,
            Some("Unknown") => Self::Unknown,
            Some(_) | None => Self::Other,
        }
    }
}
