//! Pods, and a runtime that says of them what it is told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::testing::{FakeRuntime, Fault};
use kubewright_cri::{Error, Runtime};
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::{
    ContainerId, ListedContainer, ListedPod, ListedSandbox, ObservedContainer, ObservedPod,
    ObservedSandbox, PodRuntime, RuntimeState,
};
use parking_lot::Mutex;
use tokio::time::sleep;

pub(crate) use crate::pods::{at, deleted, fixed, named, uid};

pub(crate) fn name(name: &str) -> PodName {
    PodName::new("ns", name)
}

/// A pod of an API server, called `name-UID`.
pub(crate) fn pod(uid: &str) -> Pod {
    named(uid, &format!("name-{uid}"))
}

/// What a runtime says of a pod with these containers and nothing else.
pub(crate) fn observed(of: &str, containers: &[(&str, RuntimeState)]) -> ObservedPod {
    let mut pod = ObservedPod::unknown(uid(of), name(&format!("name-{of}")));
    pod.containers = containers
        .iter()
        .map(|(id, state)| container(id, *state))
        .collect();
    pod
}

pub(crate) fn sandbox(id: &str, is_ready: bool) -> ObservedSandbox {
    ObservedSandbox {
        id: id.into(),
        attempt: 0,
        is_ready,
        is_host_network: false,
        lacks_address: false,
        ips: Vec::new(),
        created_at: at(0),
    }
}

fn container(id: &str, state: RuntimeState) -> ObservedContainer {
    ObservedContainer {
        id: ContainerId {
            runtime: "test".into(),
            id: id.into(),
        },
        name: "a".into(),
        state,
        created_at: at(1),
        started_at: None,
        finished_at: None,
        exit_code: 0,
        image: String::new(),
        image_id: String::new(),
        hash: 0,
        restart_count: 0,
        restart_delay: None,
        reason: String::new(),
        message: String::new(),
    }
}

/// A runtime of which only pods can be asked for.
#[derive(Default)]
pub(crate) struct FakePods {
    pods: Mutex<BTreeMap<PodUid, ObservedPod>>,
    /// Errors that are still to come: of lists, and of looks at pods.
    list_errors: Mutex<VecDeque<Error>>,
    observe_errors: Mutex<HashMap<PodUid, VecDeque<Error>>>,
    /// How long a look at a pod takes.
    pub(crate) takes: Mutex<Duration>,
    pub(crate) lists: AtomicUsize,
    pub(crate) looks: AtomicUsize,
}

impl FakePods {
    pub(crate) fn set(&self, pods: impl IntoIterator<Item = ObservedPod>) {
        *self.pods.lock() = pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
    }

    pub(crate) fn put(&self, pod: ObservedPod) {
        self.pods.lock().insert(pod.uid.clone(), pod);
    }

    pub(crate) fn change(&self, change: impl Fn(&mut ObservedPod)) {
        self.pods.lock().values_mut().for_each(change);
    }

    pub(crate) async fn fail_list(&self) {
        let error = error().await;
        self.list_errors.lock().push_back(error);
    }

    pub(crate) async fn fail_observe(&self, of: &str) {
        let error = error().await;
        let mut errors = self.observe_errors.lock();
        errors.entry(uid(of)).or_default().push_back(error);
    }

    pub(crate) fn clear_errors(&self) {
        self.list_errors.lock().clear();
        self.observe_errors.lock().clear();
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        let of = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (of(&self.lists), of(&self.looks))
    }
}

impl PodRuntime for FakePods {
    async fn list_pods(&self) -> Result<Vec<ListedPod>, Error> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.list_errors.lock().pop_front() {
            return Err(error);
        }
        Ok(self.pods.lock().values().map(listed).collect())
    }

    async fn observe(&self, uid: &PodUid, name: &PodName) -> Result<ObservedPod, Error> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let takes = *self.takes.lock();
        if !takes.is_zero() {
            sleep(takes).await;
        }
        let mut errors = self.observe_errors.lock();
        if let Some(error) = errors.get_mut(uid).and_then(VecDeque::pop_front) {
            return Err(error);
        }
        let pod = self.pods.lock().get(uid).cloned();
        Ok(pod.unwrap_or_else(|| ObservedPod::unknown(uid.clone(), name.clone())))
    }
}

fn listed(pod: &ObservedPod) -> ListedPod {
    let sandboxes = pod.sandboxes.iter();
    let containers = pod.containers.iter();
    ListedPod {
        uid: pod.uid.clone(),
        name: pod.name.clone(),
        sandboxes: sandboxes
            .map(|sandbox| ListedSandbox {
                id: sandbox.id.clone(),
                is_ready: sandbox.is_ready,
                attempt: sandbox.attempt,
                created_at: sandbox.created_at,
            })
            .collect(),
        containers: containers
            .map(|container| ListedContainer {
                id: container.id.clone(),
                // All are in the newest one.
                sandbox: pod.sandboxes.first().map_or("".into(), |it| it.id.clone()),
                name: container.name.clone(),
                state: container.state,
                attempt: container.restart_count,
                created_at: container.created_at,
                image_id: Arc::from(""),
            })
            .collect(),
    }
}

/// An error as calls have them.
async fn error() -> Error {
    let fake = FakeRuntime::default();
    fake.fault("Version", Fault::unavailable());
    Runtime::in_process(fake).version().await.unwrap_err()
}

/// Lets everything run that can, and a little time pass.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(10)).await;
}
