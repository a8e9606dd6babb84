use std::collections::{BTreeMap, HashSet};

use super::WorkerPool;
use crate::pod::{PodName, PodUid};
use crate::worker::KnownWorker;

/// What other parts ask about workers, as [`PodWorkers`](crate::worker::PodWorkers) answers it.
impl WorkerPool {
    /// Prunes workers that are of no use, and returns those that are left.
    ///
    /// Only to be called when all sources have spoken; see
    /// [`PodWorkers::sync_known_pods`](crate::worker::PodWorkers::sync_known_pods).
    pub fn sync_known_pods(&self, desired: &HashSet<PodUid>) -> BTreeMap<PodUid, KnownWorker> {
        self.shared.sync_known_pods(desired)
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.shared.ask(crate::worker::PodWorkers::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all containers of a pod have ended, for good.
    pub fn is_pod_known_terminated(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.is_pod_known_terminated(uid))
    }

    /// Whether containers of a pod may run.
    pub fn could_have_running_containers(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.could_have_running_containers(uid))
    }

    /// Whether nothing is left to do for a pod.
    pub fn should_pod_be_finished(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.should_pod_be_finished(uid))
    }

    /// Whether a pod was asked to end; it may still be starting.
    pub fn is_pod_termination_requested(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.is_pod_termination_requested(uid))
    }

    /// Whether no containers of a pod will be started any more.
    pub fn should_pod_containers_be_terminating(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.should_pod_containers_be_terminating(uid))
    }

    /// Whether what the runtime has of a pod is of no use.
    pub fn should_pod_runtime_be_removed(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.should_pod_runtime_be_removed(uid))
    }

    /// Whether what a pod has on disk is of no use.
    pub fn should_pod_content_be_removed(&self, uid: &PodUid) -> bool {
        self.shared
            .ask(|workers| workers.should_pod_content_be_removed(uid))
    }

    /// Whether the static pod of a name is being ended, so that its mirror is not to be made anew.
    pub fn is_static_pod_terminating(&self, name: &PodName) -> bool {
        self.shared
            .ask(|workers| workers.is_static_pod_terminating(name))
    }
}
