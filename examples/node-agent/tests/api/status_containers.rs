//! Statuses when a probe has something new to say of a container.

use std::sync::Arc;
use std::thread;

use k8s_openapi::api::core::v1::PodStatus;
use kubewright_clock::Clock;
use node_agent::pod::{PodDirectory, PodUid};
use node_agent::runtime::ContainerId;
use node_agent::status::StatusManager;
use parking_lot::Mutex;
use serde_json::json;

use crate::status_manager::{NOTHING, WRITTEN, condition, local};
use crate::world::{World, a_moment, status, told};

fn id(id: &str) -> ContainerId {
    ContainerId {
        runtime: Arc::from("test"),
        id: id.into(),
    }
}

/// A pod of two containers that are not ready, and have not started.
fn two_containers() -> PodStatus {
    let container = |name: &str, id: &str| {
        json!({"name": name, "containerID": format!("test://{id}"), "image": "", "imageID": "",
            "ready": false, "restartCount": 0})
    };
    status(json!({
        "phase": "Running",
        "containerStatuses": [container("c1", "1"), container("c2", "2")],
        "conditions": [{"type": "Ready", "status": "False"}],
    }))
}

#[tokio::test(start_paused = true)]
async fn set_container_readiness() {
    let world = World::new();
    let pod = world.create("foo").await;
    let uid = PodUid::of(&pod);
    let seen = |world: &World| {
        let status = world.status(&pod);
        let ready = condition(&status, "Ready").status == "True";
        let containers = status.container_statuses.unwrap();
        (containers[0].ready, containers[1].ready, ready)
    };
    let manager = world.manager.clone();
    manager.set_container_readiness(&uid, &id("1"), true);
    assert_eq!(manager.status(&uid), None, "nothing was said before");
    a_moment().await;
    assert_eq!(told(&world.calls), NOTHING);

    manager.set_pod_status(&pod, two_containers());
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    for (container, is_ready, expected, calls) in [
        ("1", false, (false, false, false), NOTHING.as_slice()),
        ("1", true, (true, false, false), &WRITTEN),
        ("2", true, (true, true, true), &WRITTEN),
        ("foo", true, (true, true, true), &NOTHING),
    ] {
        manager.set_container_readiness(&uid, &id(container), is_ready);
        assert_eq!(seen(&world), expected);
        a_moment().await;
        assert_eq!(told(&world.calls), calls);
    }
    let published = world.published("foo").await.unwrap();
    assert_eq!(condition(&published, "ContainersReady").status, "True");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn set_container_startup() {
    let world = World::new();
    let pod = world.create("foo").await;
    let uid = PodUid::of(&pod);
    let seen = |world: &World| {
        let containers = world.status(&pod).container_statuses.unwrap();
        (containers[0].started, containers[1].started)
    };
    let manager = world.manager.clone();
    manager.set_container_startup(&uid, &id("1"), true);
    assert_eq!(manager.status(&uid), None, "nothing was said before");

    manager.set_pod_status(&pod, two_containers());
    a_moment().await;
    world.calls.take();
    for (container, has_started, expected, calls) in [
        ("1", false, (Some(false), None), WRITTEN.as_slice()),
        ("1", true, (Some(true), None), &WRITTEN),
        ("2", true, (Some(true), Some(true)), &WRITTEN),
        ("foo", true, (Some(true), Some(true)), &NOTHING),
    ] {
        manager.set_container_startup(&uid, &id(container), has_started);
        assert_eq!(seen(&world), expected);
        a_moment().await;
        assert_eq!(told(&world.calls), calls);
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_has_started_initializes_its_pod() {
    let world = World::without_writer();
    let pod = local(
        json!({
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "c1"}],
        }),
        json!({}),
    );
    world.pods.lock().insert(Arc::clone(&pod));
    let said = status(json!({
        "phase": "Pending",
        "initContainerStatuses": [{"name": "s", "containerID": "test://s", "image": "",
            "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}],
        "conditions": [{"type": "Initialized", "status": "False"}],
    }));
    world.manager.set_pod_status(&pod, said);
    world
        .manager
        .set_container_startup(&PodUid::of(&pod), &id("s"), true);
    assert_eq!(condition(&world.status(&pod), "Initialized").status, "True");
}

/// Its worker says what a pod is like while the sync loop says that a container is ready.
#[test]
fn what_a_worker_says_meanwhile_is_not_undone() {
    let pod = local(json!({"containers": [{"name": "c1"}]}), json!({}));
    let uid = PodUid::of(&pod);
    let pods: Arc<Mutex<PodDirectory>> = Arc::default();
    pods.lock().insert(pod.clone());
    let manager = StatusManager::new(pods, Clock::system());
    manager.set_pod_status(&pod, two_containers());
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..2000 {
                manager.set_container_readiness(&uid, &id("1"), number % 2 == 0);
            }
        });
        for number in 0..2000 {
            let message = Some(number.to_string());
            let mut said = PodStatus::clone(&manager.status(&uid).unwrap());
            said.message.clone_from(&message);
            manager.set_pod_status(&pod, said);
            let status = manager.status(&uid).unwrap();
            assert_eq!(status.message, message);
        }
    });
}
