use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::Error;
use kubewright_cache::{Object, Store};
use kubewright_controller::{Action, Enqueue, EventRecorder, EventType, Request, reference};
use kubewright_informer::Event;
use parking_lot::Mutex;

use super::assumed::Assumed;
use super::bind::Binder;
use super::filter::conditions_as_taints;
use super::pending::{is_pending, takes_room};
use super::place::{NodeName, place};
use super::unschedulable::Unschedulable;

/// How long a pod waits at most until it is tried again.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The index of the pods that wait for a node, and the value they have in it.
pub(super) const PENDING: &str = "pending";

/// What the scheduler makes of events and keys. It runs nothing by itself.
pub(super) struct Logic {
    pub(super) pods: Store<Pod>,
    pub(super) nodes: Store<Node>,
    pub(super) binder: Binder,
    pub(super) events: EventRecorder,
    pub(super) assumed: Mutex<Assumed>,
}

impl Logic {
    /// A pod that waits is tried; one that makes room is the chance of all that wait.
    pub(super) fn on_pod(&self, event: &Event<Pod>, enqueue: &Enqueue) {
        match event {
            Event::Added { object, .. } if decoded(object).is_some_and(|it| is_pending(&it)) => {
                enqueue.add(object.key().clone());
            }
            Event::Updated { old, new } => {
                let (Some(old), Some(pod)) = (decoded(old), decoded(new)) else {
                    return;
                };
                // Its status changes because the scheduler says there why it waits.
                if is_pending(&pod) && (!is_pending(&old) || old.spec != pod.spec) {
                    enqueue.add(new.key().clone());
                }
                if takes_room(&old) && !takes_room(&pod) {
                    self.enqueue_pending(enqueue);
                }
            }
            Event::Deleted { .. } => self.enqueue_pending(enqueue),
            Event::Added { .. } => {}
        }
    }

    /// A node that changes in what is looked at is the chance of all that wait.
    pub(super) fn on_node(&self, event: &Event<Node>, enqueue: &Enqueue) {
        let is_news = match event {
            Event::Added { .. } => true,
            Event::Updated { old, new } => match (decoded(old), decoded(new)) {
                (Some(old), Some(new)) => differs(&old, &new),
                _ => true,
            },
            Event::Deleted { .. } => true,
        };
        if is_news {
            self.enqueue_pending(enqueue);
        }
    }

    fn enqueue_pending(&self, enqueue: &Enqueue) {
        let pending = self.pods.by_index(PENDING, PENDING);
        for pod in pending.into_iter().flatten() {
            enqueue.add(pod.key().clone());
        }
    }

    /// Finds a node for a pod, if it waits for one.
    pub(super) async fn reconcile(&self, request: Request) -> Result<Action, Error> {
        let Some(object) = self.pods.get(request.key()) else {
            return Ok(Action::done());
        };
        let Some(pod) = decoded(&object).filter(|pod| is_pending(pod)) else {
            return Ok(Action::done());
        };
        let nodes = all(&self.nodes);
        // A panic in between would cost what is assumed, and no more.
        let decision = {
            let mut assumed = self.assumed.lock();
            let pods = assumed.over(all(&self.pods));
            let is_bound_by_now = pods
                .iter()
                .any(|it| it.metadata.uid == pod.metadata.uid && !is_pending(it));
            if is_bound_by_now {
                return Ok(Action::done());
            }
            let decision = place(&pod, &nodes, &pods);
            if let Ok(node) = &decision {
                assumed.assume(&pod, node.clone());
            }
            decision
        };
        match decision {
            Ok(node) => self.bind(&object, &pod, &node).await,
            Err(why) => self.tell(&object, &pod, &why).await,
        }
    }

    async fn bind(
        &self,
        object: &Object<Pod>,
        pod: &Pod,
        node: &NodeName,
    ) -> Result<Action, Error> {
        match self.binder.bind(pod, node).await {
            Ok(()) => {
                let message = format!("Successfully assigned {} to {node}", object.key());
                self.record(object, EventType::Normal, "Scheduled", &message);
                Ok(Action::done())
            }
            // If just the answer was lost, the cache shows the pod as bound before it is tried again,
            // or the server refuses to bind it twice.
            Err(error) => {
                self.assumed.lock().forget(pod);
                match is_settled(&error) {
                    true => Ok(Action::done()),
                    false => Err(error),
                }
            }
        }
    }

    async fn tell(
        &self,
        object: &Object<Pod>,
        pod: &Pod,
        why: &Unschedulable,
    ) -> Result<Action, Error> {
        self.record(
            object,
            EventType::Warning,
            "FailedScheduling",
            &why.to_string(),
        );
        match self.binder.tell(pod, why).await {
            Err(error) if !is_settled(&error) => Err(error),
            _ => Ok(Action::requeue_after(PATIENCE)),
        }
    }

    fn record(&self, pod: &Object<Pod>, kind: EventType, reason: &str, message: &str) {
        self.events.record(&reference(pod), kind, reason, message);
    }
}

/// The pod is gone, or not as it was: the watch tells, and trying again does not help.
fn is_settled(error: &Error) -> bool {
    matches!(error, Error::Api(status) if matches!(status.code, 404 | 409))
}

/// Whether a node differs in what decides on pods; heartbeats do not.
fn differs(old: &Node, new: &Node) -> bool {
    let parts = |node: &Node| {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.clone().unwrap_or_default();
        (
            node.metadata.labels.clone(),
            spec.taints,
            spec.unschedulable,
            status.allocatable,
            conditions_as_taints(node),
        )
    };
    parts(old) != parts(new)
}

fn all<K: serde::de::DeserializeOwned + Send + Sync + 'static>(store: &Store<K>) -> Vec<Arc<K>> {
    store.snapshot().iter().filter_map(decoded).collect()
}

/// An object that cannot be read is no reason to stop; the cache has reported it.
fn decoded<K: serde::de::DeserializeOwned + Send + Sync + 'static>(
    object: &Object<K>,
) -> Option<Arc<K>> {
    object.get().ok()
}
