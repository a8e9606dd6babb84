//! Pods, and what a runtime says of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use node_agent::moment::Moment;
use node_agent::pod::{PodName, PodUid, containers};
use node_agent::runtime::{
    ContainerId, ObservedContainer, ObservedPod, ObservedSandbox, RuntimeState, container_hash,
};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use crate::pods::at;

/// A point in time, in seconds, by the clock that nobody sets.
pub(crate) fn after(seconds: i64) -> Instant {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Something was before it.
    *BEGIN + Duration::from_secs(u64::try_from(100_000 + seconds).unwrap())
}

/// That time by both clocks.
pub(crate) fn moment(seconds: i64) -> Moment {
    Moment {
        wall: at(seconds),
        at: after(seconds),
    }
}

/// A pod with this spec.
#[expect(clippy::needless_pass_by_value, reason = "tables write specs in place")]
pub(crate) fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"uid": "12345678", "name": "foo", "namespace": "new"},
        "spec": spec,
    }))
    .unwrap()
}

/// A pod with three regular containers.
pub(crate) fn base_pod(policy: &str) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "containers": [
            {"name": "foo1", "image": "busybox"},
            {"name": "foo2", "image": "busybox"},
            {"name": "foo3", "image": "busybox"},
        ],
    }))
}

/// What the runtime says of a pod all of whose regular containers run.
pub(crate) fn running(pod: &Pod) -> ObservedPod {
    let mut observed = in_sandbox(pod);
    for container in &pod.spec.as_ref().unwrap().containers {
        observed.containers.push(container_of(container));
    }
    observed
}

/// What the runtime says of a pod without containers.
pub(crate) fn in_sandbox(pod: &Pod) -> ObservedPod {
    let mut observed = ObservedPod::unknown(PodUid::of(pod), PodName::of(pod));
    observed.ips.push([10, 0, 0, 1].into());
    observed.sandboxes.push(ObservedSandbox {
        id: "sandbox".into(),
        attempt: 0,
        is_ready: true,
        is_host_network: false,
        lacks_address: false,
        ips: vec![[10, 0, 0, 1].into()],
        created_at: at(0),
    });
    observed
}

/// A container that runs as its spec says.
pub(crate) fn container_of(spec: &Container) -> ObservedContainer {
    ObservedContainer {
        id: id(&format!("{}-id", spec.name)),
        name: spec.name.as_str().into(),
        state: RuntimeState::Running,
        created_at: at(1),
        started_at: Some(at(2)),
        finished_at: None,
        exit_code: 0,
        image: spec.image.clone().unwrap_or_default(),
        image_id: "sha256:0".into(),
        hash: container_hash(spec),
        restart_count: 0,
        restart_delay: None,
        reason: String::new(),
        message: String::new(),
    }
}

/// Adds a container of a pod, newest of all.
pub(crate) fn add(observed: &mut ObservedPod, pod: &Pod, name: &str, state: State) {
    let spec = containers(pod)
        .find(|it| it.spec.name == name)
        .unwrap()
        .spec;
    let mut container = container_of(&spec);
    set(&mut container, state);
    observed.containers.insert(0, container);
}

/// What a container is like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Created,
    Running,
    Exited(i32),
    Unknown,
}

pub(crate) fn set(container: &mut ObservedContainer, state: State) {
    container.state = match state {
        State::Created => RuntimeState::Created,
        State::Running => RuntimeState::Running,
        State::Exited(_) => RuntimeState::Exited,
        State::Unknown => RuntimeState::Unknown,
    };
    if let State::Exited(code) = state {
        container.exit_code = code;
        container.finished_at = Some(at(3));
    }
}

pub(crate) fn id(id: &str) -> ContainerId {
    ContainerId {
        runtime: Arc::from("test"),
        id: id.into(),
    }
}
