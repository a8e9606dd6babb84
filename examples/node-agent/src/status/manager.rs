mod cache;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use kube_client::Client;
use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::cache::{Change, StatusCache};
pub use self::writer::StatusWriter;
use super::conditions::{
    CONTAINERS_READY, INITIALIZED, READY, containers_ready_condition, initialized_condition,
    ready_condition,
};
use super::generate::init_and_regular;
use crate::moment::Moment;
use crate::pod::{PodDirectory, PodName, PodUid, is_deleting};
use crate::runtime::ContainerId;

/// What is said of each pod, and what the API server has been told of it. Cheap to clone.
///
/// # Guarantees
///
/// - A status follows from the one before: what cannot have happened is refused and logged, the
///   start time is set once, and conditions keep their times.
/// - What says nothing new is written nowhere.
/// - Nothing here waits: its [writer](Self::writer) brings to the API server what is new. An agent
///   that has no API server has no writer, and only remembers.
///
/// Answers to kubelet's `status.Manager`.
#[derive(Clone)]
pub struct StatusManager {
    shared: Arc<Shared>,
}

struct Shared {
    /// Taken before the cache, by who needs both.
    pods: Arc<Mutex<PodDirectory>>,
    cache: Mutex<StatusCache>,
    changed: Notify,
    clock: Clock,
}

impl StatusManager {
    /// A manager that knows of no status yet, of the pods in this directory.
    pub fn new(pods: Arc<Mutex<PodDirectory>>, clock: Clock) -> Self {
        let shared = Shared {
            pods,
            cache: Mutex::default(),
            changed: Notify::new(),
            clock,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What brings statuses to the API server. There is to be one.
    ///
    /// `could_run` says of a pod whether its containers may run: a terminal phase is withheld while
    /// they do.
    pub fn writer(
        &self,
        client: Client,
        could_run: impl Fn(&PodUid) -> bool + Send + Sync + 'static,
    ) -> StatusWriter {
        StatusWriter::new(self.clone(), client, Box::new(could_run))
    }

    /// What was said last of a pod, or of the static pod that a mirror pod stands for.
    pub fn status(&self, uid: &PodUid) -> Option<Arc<PodStatus>> {
        let uid = self.shared.pods.lock().resolve(uid);
        self.shared.cache.lock().status(&uid)
    }

    /// When a pod was started by its last status, as the clock shows it that nobody sets.
    ///
    /// The clock of the wall has its say once: when the status was first made or read.
    pub fn started_at(&self, uid: &PodUid) -> Option<Instant> {
        let uid = self.shared.pods.lock().resolve(uid);
        self.shared.cache.lock().started_at(&uid)
    }

    /// Says what a pod is like. For a pod that is being deleted it is written though nothing is new,
    /// so that its deletion comes to its end.
    pub fn set_pod_status(&self, pod: &Arc<Pod>, status: PodStatus) {
        let change = if is_deleting(pod) {
            Change::Forced
        } else {
            Change::News
        };
        self.update(pod, change, |_| Some(status));
    }

    /// Says whether a container is ready, and what that makes of its pod.
    ///
    /// Nothing happens before the first status of the pod, or if it has no such container.
    pub fn set_container_readiness(&self, uid: &PodUid, container: &ContainerId, is_ready: bool) {
        self.update_container(uid, |pod, status| {
            let container = container_mut(status, container)?;
            if container.ready == is_ready {
                return None;
            }
            container.ready = is_ready;
            let all = init_and_regular(status);
            let phase = status.phase.clone().unwrap_or_default();
            let conditions = status.conditions.get_or_insert_default();
            let ready = ready_condition(pod, Some(&all), conditions, &phase);
            let containers_ready = containers_ready_condition(pod, Some(&all), &phase);
            set_condition(conditions, READY, ready);
            set_condition(conditions, CONTAINERS_READY, containers_ready);
            Some(())
        });
    }

    /// Says whether a container has started, and what that makes of its pod.
    ///
    /// Nothing happens before the first status of the pod, or if it has no such container.
    pub fn set_container_startup(&self, uid: &PodUid, container: &ContainerId, has_started: bool) {
        self.update_container(uid, |pod, status| {
            let started = Some(has_started);
            let container = container_mut(status, container)?;
            if container.started == started {
                return None;
            }
            container.started = started;
            let all = init_and_regular(status);
            let phase = status.phase.clone().unwrap_or_default();
            let conditions = status.conditions.get_or_insert_default();
            if conditions.iter().any(|it| it.type_ == INITIALIZED) {
                let initialized = initialized_condition(pod, Some(&all), &phase);
                set_condition(conditions, INITIALIZED, initialized);
            }
            Some(())
        });
    }

    /// Says that a pod's worker is done with it: all containers have ended, those included of which
    /// nobody saw it, and the pod is in a terminal phase. From then on it may be deleted.
    pub fn terminate_pod(&self, pod: &Arc<Pod>) {
        self.update(pod, Change::Finished, |last| {
            Some(super::finish(pod, last.clone()))
        });
    }

    /// Forgets how a pod ended whose worker is done with it: a static pod begins anew under its uid.
    pub fn forget_finished(&self, uid: &PodUid) {
        self.shared.cache.lock().forget_finished(uid);
    }

    /// How many pods something is known of.
    pub fn len(&self) -> usize {
        self.shared.cache.lock().len()
    }

    /// Whether nothing is known of any pod.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all pods but these.
    pub fn remove_orphaned(&self, keep: &HashSet<PodUid>) {
        self.shared.cache.lock().retain(|uid| keep.contains(uid));
    }

    /// Whether something was said that the API server was not told.
    pub fn has_news(&self) -> bool {
        let pods = self.shared.pods.lock();
        let due = self.shared.cache.lock().due(&pods, cache::Scope::Changed);
        !due.is_empty()
    }

    /// Whether the API server was not told what was said last of a pod, and could be. Until then an
    /// agent that comes after this one has only the runtime to ask.
    pub fn is_untold(&self, uid: &PodUid) -> bool {
        let pods = self.shared.pods.lock();
        self.shared.cache.lock().is_untold(&pods, uid)
    }

    /// Whether the API server says something else of a pod than what was said here last.
    ///
    /// Of a static pod its mirror counts. A pod without one, and one of which nothing was said, has
    /// nothing to be reconciled.
    pub fn needs_reconcile(&self, uid: &PodUid) -> bool {
        let (said, shown) = {
            let pods = self.shared.pods.lock();
            let said = self.shared.cache.lock().status(uid);
            (said, pods.shown(uid).cloned())
        };
        said.zip(shown)
            .is_some_and(|(said, shown)| cache::is_lost(&said, &shown))
    }

    fn update_container(
        &self,
        uid: &PodUid,
        change: impl FnOnce(&Pod, &mut PodStatus) -> Option<()>,
    ) {
        let pod = self.shared.pods.lock().pod(uid).cloned();
        let Some(pod) = pod else {
            tracing::debug!(%uid, "a pod whose container changed is gone");
            return;
        };
        // Of the last status that there is by then: the pod's worker may have said another one.
        self.update(&pod, Change::Amended, |last| {
            let mut status = last.clone();
            change(&pod, &mut status).map(|()| status)
        });
    }

    /// Makes a new status of the last one: of that of the source, before there was one.
    fn update(
        &self,
        pod: &Arc<Pod>,
        change: Change,
        make: impl FnOnce(&PodStatus) -> Option<PodStatus>,
    ) {
        let now = Moment::now(&self.shared.clock);
        let mirror = {
            let pods = self.shared.pods.lock();
            let (_, mirror) = pods.pod_and_mirror(pod);
            mirror.cloned()
        };
        let source = mirror.as_ref().unwrap_or(pod).status.as_ref();
        let mut cache = self.shared.cache.lock();
        match cache.update(now, pod, source, change, make) {
            Ok(true) => self.shared.changed.notify_one(),
            Ok(false) => {}
            Err(error) => {
                let name = PodName::of(pod);
                tracing::error!(pod = %name, %error, "the status of a pod is not updated");
            }
        }
    }
}

impl std::fmt::Debug for StatusManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusManager").finish_non_exhaustive()
    }
}

/// The status of a container.
fn container_mut<'a>(
    status: &'a mut PodStatus,
    id: &ContainerId,
) -> Option<&'a mut ContainerStatus> {
    let id = id.to_string();
    let regular = status.container_statuses.iter_mut().flatten();
    let init = status.init_container_statuses.iter_mut().flatten();
    regular
        .chain(init)
        .find(|status| status.container_id.as_deref() == Some(&id))
}

fn set_condition(conditions: &mut Vec<PodCondition>, type_: &str, condition: PodCondition) {
    match conditions.iter_mut().find(|it| it.type_ == type_) {
        Some(before) => *before = condition,
        None => conditions.push(condition),
    }
}
