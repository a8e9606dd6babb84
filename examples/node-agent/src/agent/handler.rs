use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::garbage::{Deletions, UseOfPods};
use super::parts::Parts;
use super::shutdown::ShuttingDown;
use super::told::Told;
use crate::admission::{self, NodeState, Rejection, admit};
use crate::deadline::is_past_deadline;
use crate::event::pod_reference;
use crate::gc::{PodStates as _, dead_containers};
use crate::node::NodePressure;
use crate::pod::{
    FAILED, PodName, PodUid, is_deleting, is_mirror, is_phase_terminal, is_static, is_terminal,
};
use crate::runtime::ContainerId;
use crate::status::needs_readiness_reconcile;
use crate::sync_loop::SyncHandler;
use crate::worker::{Kill, KillCause, Subject, UpdateKind, WorkerPool, WorkerUpdate};

/// How many dead containers are kept of each of a pod's.
const KEPT_DEAD: usize = 1;

/// Acts on what the sync loop hears.
pub(super) struct Handler {
    pub(super) parts: Arc<Parts>,
    pub(super) workers: WorkerPool,
    pub(super) pressure: NodePressure,
    pub(super) deletions: Deletions,
    pub(super) shutting_down: ShuttingDown,
    /// Told after each clean-up.
    pub(super) cleaned_up: Notify,
    /// Whose files cannot be removed.
    pub(super) stuck_files: Told,
}

impl SyncHandler for Handler {
    async fn handle_pod_additions(&self, mut pods: Vec<Arc<Pod>>) {
        // The oldest come first, so that after a restart the same ones find room.
        pods.sort_by_key(|pod| age(pod));
        for pod in pods {
            let others = self.active_pods(Some(&PodUid::of(&pod)));
            self.parts.pods.lock().insert(pod.clone());
            if is_mirror(&pod) {
                self.poke(&pod, UpdateKind::Update);
                continue;
            }
            if is_static(&pod) {
                self.parts.statuses.forget_finished(&PodUid::of(&pod));
            }
            self.begin(&pod, &others).await;
        }
    }

    fn handle_pod_updates(&self, pods: Vec<Arc<Pod>>) {
        for pod in pods {
            self.parts.pods.lock().insert(pod.clone());
            self.poke(&pod, UpdateKind::Update);
        }
    }

    fn handle_pod_removes(&self, pods: Vec<Arc<Pod>>) {
        for pod in pods {
            self.parts.pods.lock().remove(&pod);
            if is_mirror(&pod) {
                // Its static pod makes another one.
                self.poke(&pod, UpdateKind::Update);
                continue;
            }
            if !self.parts.ready.all() {
                // Another source may have it. If none has, the next clean-up ends it.
                continue;
            }
            let uid = PodUid::of(&pod);
            // Nobody asks any more how it ended.
            if self.workers.should_pod_content_be_removed(&uid) {
                self.clean_up_pod(&uid);
            }
            let kill = Kill {
                cause: KillCause::Removed,
                grace: None,
                status: None,
                waiter: None,
            };
            self.workers.update(WorkerUpdate {
                kind: UpdateKind::Kill,
                subject: Subject::Configured { pod, mirror: None },
                kill: Some(kill),
            });
        }
    }

    fn handle_pod_reconcile(&self, pods: Vec<Arc<Pod>>) {
        for pod in pods {
            self.parts.pods.lock().insert(pod.clone());
            // Whether it is ready may depend on conditions that others have set.
            if needs_readiness_reconcile(&pod) {
                self.poke(&pod, UpdateKind::Sync);
            }
            // What is left of one that was evicted is in the way of others.
            if crate::eviction::is_evicted(&pod) {
                self.clean_up_pod(&PodUid::of(&pod));
            }
        }
    }

    fn handle_pod_syncs(&self, pods: Vec<Arc<Pod>>) {
        for pod in pods {
            self.poke(&pod, UpdateKind::Sync);
        }
    }

    async fn handle_pod_cleanups(&self) -> anyhow::Result<()> {
        Box::pin(self.clean_up_pods()).await
    }

    fn runtime_errors(&self) -> Option<String> {
        let errors = self.parts.health.runtime_errors(Instant::now());
        (!errors.is_empty()).then(|| errors.join(", "))
    }

    fn pod(&self, uid: &PodUid) -> Option<Arc<Pod>> {
        self.parts.pods.lock().pod(uid).cloned()
    }

    fn pods_to_sync(&self) -> Vec<Arc<Pod>> {
        let due = self.workers.take_due();
        let now = Instant::now();
        // What is asked of each takes locks of its own.
        let pods: Vec<_> = self.parts.pods.lock().pods().cloned().collect();
        let is_wanted = |pod: &Arc<Pod>| {
            let uid = PodUid::of(pod);
            due.contains(&uid) || self.is_past_its_deadline(&uid, pod, now)
        };
        pods.into_iter().filter(is_wanted).collect()
    }

    fn clean_up_containers(&self, pod: &PodUid, container: &str) {
        let Some(Ok(observed)) = self.parts.cache.get(pod) else {
            return;
        };
        // Of one that is gone or has lost its room nothing is kept.
        let (of, keep) = match self.use_of_pods().should_pod_content_be_removed(pod) {
            true => (None, 0),
            false => (Some(container), KEPT_DEAD),
        };
        self.deletions.delete(dead_containers(&observed, of, keep));
    }

    fn set_container_readiness(&self, pod: &PodUid, container: &ContainerId, is_ready: bool) {
        let statuses = &self.parts.statuses;
        statuses.set_container_readiness(pod, container, is_ready);
    }

    fn set_container_startup(&self, pod: &PodUid, container: &ContainerId, has_started: bool) {
        let statuses = &self.parts.statuses;
        statuses.set_container_startup(pod, container, has_started);
    }
}

impl Handler {
    /// Who says which pods are of use.
    pub(super) fn use_of_pods(&self) -> UseOfPods {
        UseOfPods {
            workers: self.workers.clone(),
            statuses: self.parts.statuses.clone(),
        }
    }

    /// Removes all dead containers of a pod.
    fn clean_up_pod(&self, uid: &PodUid) {
        if let Some(Ok(observed)) = self.parts.cache.get(uid) {
            self.deletions.delete(dead_containers(&observed, None, 0));
        }
    }

    /// Tells the worker of a pod, or of the static pod that a mirror stands for.
    fn poke(&self, either: &Pod, kind: UpdateKind) {
        let (pod, mirror) = self.parts.pod_and_mirror(either);
        match pod {
            Some(pod) => self.update(pod, mirror, kind),
            // A mirror of nothing is removed with the next clean-up.
            None => tracing::debug!(pod = ?either.metadata.name, "a mirror pod stands for nothing"),
        }
    }

    fn tell(&self, pod: &Arc<Pod>, kind: UpdateKind) {
        let (_, mirror) = self.parts.pod_and_mirror(pod);
        self.update(pod.clone(), mirror, kind);
    }

    fn update(&self, pod: Arc<Pod>, mirror: Option<Arc<Pod>>, kind: UpdateKind) {
        self.workers.update(WorkerUpdate {
            kind,
            subject: Subject::Configured { pod, mirror },
            kill: None,
        });
    }

    /// Has the worker of a pod begin if the node takes it beside these; whether it does.
    ///
    /// One that is on its way out is not judged any more: it is ended, whether it has begun or not.
    pub(super) async fn begin(&self, pod: &Arc<Pod>, others: &[Arc<Pod>]) -> bool {
        let is_ending = is_deleting(pod)
            || is_terminal(pod)
            || self.workers.is_pod_termination_requested(&PodUid::of(pod));
        if !is_ending {
            match self.admit(pod, others) {
                Ok(preempted) => self.make_room(pod, preempted).await,
                Err(rejection) => {
                    self.reject(pod, &rejection);
                    return false;
                }
            }
        }
        self.tell(pod, UpdateKind::Create);
        true
    }

    /// Whether the node takes a pod beside these, and which of them have to end for it.
    pub(super) fn admit(&self, pod: &Pod, others: &[Arc<Pod>]) -> Result<Vec<Arc<Pod>>, Rejection> {
        self.shutting_down.admit()?;
        let pressures = self.pressure.now();
        let facts = NodeState {
            node: &self.parts.node(),
            pressures: &pressures,
        };
        admit(pod, others, facts)
    }

    /// Ends pods in whose place a critical one is to run, and waits for that: it may count on what
    /// it asks for. Nothing else is acted on meanwhile, as upstream.
    ///
    /// Answers to the `evictPodsToFreeRequests` of kubelet's `CriticalPodAdmissionHandler`.
    async fn make_room(&self, pod: &Pod, preempted: Vec<Arc<Pod>>) {
        let kills = preempted.into_iter().map(|other| async move {
            let status = admission::preempted();
            self.parts.events.warning(
                &pod_reference(&other),
                &status.reason,
                status.message.clone(),
            );
            let name = PodName::of(&other);
            tracing::info!(pod = %name, critical = %PodName::of(pod), "a pod is ended to make room");
            let kill = Kill {
                cause: KillCause::Evicted,
                grace: None,
                status: Some(status),
                waiter: None,
            };
            if let Err(error) = self.workers.kill_and_wait(other, kill, None).await {
                // Its worker goes on ending it.
                tracing::error!(pod = %name, %error, "a pod makes no room in time");
            }
        });
        join_all(kills).await;
    }

    /// The pods that take room on the node, but for one if it is given.
    ///
    /// Answers to kubelet's `filterOutInactivePods`.
    pub(super) fn active_pods(&self, but: Option<&PodUid>) -> Vec<Arc<Pod>> {
        let pods: Vec<_> = self.parts.pods.lock().pods().cloned().collect();
        let is_active = |pod: &Arc<Pod>| {
            let uid = PodUid::of(pod);
            if but == Some(&uid) || self.workers.is_pod_known_terminated(&uid) {
                return false;
            }
            // What its source says of its end counts only once its containers have ended, too.
            let last = self.parts.statuses.status(&uid);
            let has_ended = match &last {
                Some(status) => is_phase_terminal(status.phase.as_deref()),
                None => is_terminal(pod),
            };
            !has_ended || self.workers.is_pod_termination_requested(&uid)
        };
        pods.into_iter().filter(is_active).collect()
    }

    /// Answers to kubelet's `rejectPod`.
    pub(super) fn reject(&self, pod: &Arc<Pod>, rejection: &Rejection) {
        let parts = &self.parts;
        let message = rejection.message.clone();
        parts
            .events
            .warning(&pod_reference(pod), &rejection.reason, message);
        let mut status = parts.last_status(pod);
        status.phase = Some(FAILED.to_owned());
        status.reason = Some(rejection.reason.clone());
        status.message = Some(rejection.status_message());
        status.observed_generation = pod.metadata.generation;
        parts.statuses.set_pod_status(pod, status);
    }

    fn is_past_its_deadline(&self, uid: &PodUid, pod: &Pod, now: Instant) -> bool {
        let spec = pod.spec.as_ref();
        if spec.is_none_or(|spec| spec.active_deadline_seconds.is_none()) {
            return false;
        }
        let Some(status) = self.parts.statuses.status(uid) else {
            return false;
        };
        let started_at = self.parts.statuses.started_at(uid);
        !is_phase_terminal(status.phase.as_deref()) && is_past_deadline(pod, started_at, now)
    }
}

fn age(pod: &Pod) -> Option<jiff::Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}
