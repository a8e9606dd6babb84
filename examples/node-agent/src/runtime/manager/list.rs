use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join;
use jiff::Timestamp;
use kubewright_cri::{Error, v1};

use super::RuntimeManager;
use crate::pod::{PodName, PodUid};
use crate::runtime::{
    ContainerId, ContainerRecord, ListedContainer, ListedPod, ListedSandbox, ObservedPod,
    PodRecord, PodRuntime, RuntimeState,
};

impl PodRuntime for RuntimeManager {
    async fn list_pods(&self) -> Result<Vec<ListedPod>, Error> {
        let runtime = &self.inner.runtime;
        let name = self.runtime_name().await?;
        let sandboxes = runtime.list_pod_sandbox(None);
        let (sandboxes, containers) = try_join(sandboxes, runtime.list_containers(None)).await?;
        Ok(group(&name, sandboxes, containers))
    }

    async fn observe(&self, uid: &PodUid, name: &PodName) -> Result<ObservedPod, Error> {
        self.observe_pod(uid, name).await
    }
}

/// Sorts what a runtime has by pods; what is nobody's that the agent knows is left out.
fn group(
    runtime: &Arc<str>,
    sandboxes: Vec<v1::PodSandbox>,
    containers: Vec<v1::Container>,
) -> Vec<ListedPod> {
    let mut pods = BTreeMap::new();
    let empty = |record: PodRecord| ListedPod {
        uid: record.uid,
        name: record.name,
        sandboxes: Vec::new(),
        containers: Vec::new(),
    };
    for sandbox in sandboxes {
        let Some(record) = PodRecord::read(|key| sandbox.labels.get(key)) else {
            continue;
        };
        let uid = record.uid.clone();
        let pod = pods.entry(uid).or_insert_with(|| empty(record));
        pod.sandboxes.push(ListedSandbox {
            is_ready: sandbox.state() == v1::PodSandboxState::SandboxReady,
            attempt: sandbox.metadata.as_ref().map_or(0, |data| data.attempt),
            created_at: timestamp(sandbox.created_at),
            id: sandbox.id.into(),
        });
    }
    for container in containers {
        let record = ContainerRecord::read(|key| container.labels.get(key), |_| None);
        let Ok(Some(record)) = record else {
            continue;
        };
        let uid = record.pod.uid.clone();
        let pod = pods.entry(uid).or_insert_with(|| empty(record.pod));
        pod.containers.push(ListedContainer {
            state: state(container.state()),
            attempt: container.metadata.as_ref().map_or(0, |data| data.attempt),
            created_at: timestamp(container.created_at),
            id: ContainerId {
                runtime: runtime.clone(),
                id: container.id.into(),
            },
            sandbox: container.pod_sandbox_id.into(),
            name: record.name,
            image_id: first_given([container.image_id, container.image_ref]).into(),
        });
    }
    // The one that was tried later is newer, whatever the runtime's clock said meanwhile.
    for pod in pods.values_mut() {
        pod.sandboxes
            .sort_by_key(|it| Reverse((it.attempt, it.created_at)));
        pod.containers
            .sort_by_key(|it| Reverse((it.attempt, it.created_at)));
    }
    pods.into_values().collect()
}

/// A time as CRI writes it.
pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn state(state: v1::ContainerState) -> RuntimeState {
    match state {
        v1::ContainerState::ContainerCreated => RuntimeState::Created,
        v1::ContainerState::ContainerRunning => RuntimeState::Running,
        v1::ContainerState::ContainerExited => RuntimeState::Exited,
        v1::ContainerState::ContainerUnknown => RuntimeState::Unknown,
    }
}

/// The first text that is not empty.
pub(super) fn first_given<const N: usize>(texts: [String; N]) -> String {
    let mut given = texts.into_iter().filter(|text| !text.is_empty());
    given.next().unwrap_or_default()
}
