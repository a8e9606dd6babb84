use super::{PodWorkers, WorkerState};
use crate::pod::{PodName, PodUid};

/// What other parts ask about workers. Who has no worker, once all sources have spoken, has nothing
/// that runs.
impl PodWorkers {
    /// Whether all containers of a pod have ended, for good.
    pub fn is_pod_known_terminated(&self, uid: &PodUid) -> bool {
        self.ask(uid, false, |state| state.terminated_at.is_some())
    }

    /// Whether containers of a pod may run.
    pub fn could_have_running_containers(&self, uid: &PodUid) -> bool {
        self.ask(uid, !self.is_synced, |state| state.terminated_at.is_none())
    }

    /// Whether nothing is left to do for a pod.
    pub fn should_pod_be_finished(&self, uid: &PodUid) -> bool {
        self.ask(uid, self.is_synced, |state| state.is_finished)
    }

    /// Whether a pod was asked to end; it may still be starting.
    pub fn is_pod_termination_requested(&self, uid: &PodUid) -> bool {
        self.ask(uid, false, |state| state.terminating_at.is_some())
    }

    /// Whether no containers of a pod will be started any more.
    pub fn should_pod_containers_be_terminating(&self, uid: &PodUid) -> bool {
        self.ask(uid, self.is_synced, |state| state.has_seen_termination)
    }

    /// Whether what the runtime has of a pod is of no use.
    pub fn should_pod_runtime_be_removed(&self, uid: &PodUid) -> bool {
        self.ask(uid, self.is_synced, |state| state.terminated_at.is_some())
    }

    /// Whether what a pod has on disk is of no use.
    pub fn should_pod_content_be_removed(&self, uid: &PodUid) -> bool {
        self.ask(uid, self.is_synced, |state| {
            state.is_evicted || (state.is_deleted && state.terminated_at.is_some())
        })
    }

    /// Whether the static pod of a name is being ended, so that its mirror is not to be made anew.
    pub fn is_static_pod_terminating(&self, name: &PodName) -> bool {
        let state = self
            .statics
            .started(name)
            .and_then(|uid| self.states.get(uid));
        state.is_some_and(|state| state.terminating_at.is_some() && state.terminated_at.is_none())
    }

    fn ask(&self, uid: &PodUid, unknown: bool, ask: impl Fn(&WorkerState) -> bool) -> bool {
        self.states.get(uid).map_or(unknown, ask)
    }
}
