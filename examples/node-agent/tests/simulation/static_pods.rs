//! Pods of files, and their mirrors.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube_client::api::WatchParams;
use kube_client::core::WatchEvent;
use kubewright_apiserver::faults::Fault;
use kubewright_cri::testing::Behaviour;
use serde_json::json;

use crate::world::{NODE, View, World, app};

fn manifest(image: &str) -> String {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "app", "image": image}],
        },
    });
    pod.to_string()
}

fn name() -> String {
    format!("web-{NODE}")
}

async fn world(seed: u64) -> (World, PathBuf) {
    let mut world = World::idle(seed).await;
    let directory = world.root.path().join("manifests");
    fs::create_dir_all(&directory).unwrap();
    world.config.static_pod_path = Some(directory.clone());
    world.config.file_check_frequency = Duration::from_secs(1);
    world.statics.insert(name());
    (world, directory)
}

/// Starts the agent with a pod, and returns the pod's file once its mirror is ready.
async fn begin(world: &mut World, directory: &Path) -> PathBuf {
    let file = directory.join("web.json");
    fs::write(&file, manifest("i:1")).unwrap();
    world.start().await;
    world
        .until(30, "its mirror is ready", |view| view.is_ready(&name()))
        .await;
    file
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_runs_and_is_shown_by_a_mirror() {
    let (mut world, directory) = world(1).await;
    let file = begin(&mut world, &directory).await;
    let id = world.container_id(&name(), "app");

    // Whoever deletes the mirror deletes nothing else.
    let uid = world.pods().get(&name()).await.unwrap().metadata.uid;
    for grace in [None, Some(0)] {
        world.delete_within(&name(), grace).await;
        world
            .until(40, "there is another mirror", |view| {
                let mirror = view.pod(&name());
                mirror.is_some_and(|it| {
                    it.metadata.uid != uid && it.metadata.deletion_timestamp.is_none()
                }) && view.is_ready(&name())
            })
            .await;
        assert_eq!(world.container_id(&name(), "app"), id);
    }

    // A change of the file is another pod.
    fs::write(&file, manifest("i:2")).unwrap();
    world
        .until(60, "the changed one runs", |view| {
            view.is_ready(&name())
                && view.running(&name()).len() == 1
                && view
                    .container(&name(), "app")
                    .is_some_and(|it| it.image.contains("i:2"))
        })
        .await;
    assert_ne!(world.container_id(&name(), "app"), id);

    // The agent is killed; the pod is not.
    let id = world.container_id(&name(), "app");
    world.kill().await;
    world.start().await;
    world.pass(60).await;
    assert_eq!(world.container_id(&name(), "app"), id);
    assert!(world.view().await.is_ready(&name()));

    fs::remove_file(&file).unwrap();
    world.statics.clear();
    world.until_gone(30, &name()).await;
    fs::write(&file, manifest("i:2")).unwrap();
    world.statics.insert(name());
    world
        .until(40, "it is back", |view| view.is_ready(&name()))
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_mirror_of_a_pod_that_is_removed_tells_how_it_ended() {
    let (mut world, directory) = world(8).await;
    world.runtime.behave("app", Behaviour::ignores_stop());
    let file = begin(&mut world, &directory).await;
    let fields = format!("metadata.name={}", name());
    let mirrors = world.pods();
    let changes = mirrors
        .watch(&WatchParams::default().fields(&fields), "0")
        .await;
    fs::remove_file(&file).unwrap();
    world.statics.clear();
    world.until_gone(30, &name()).await;
    let mut changes = pin!(changes.unwrap());
    let last = loop {
        let change = changes.try_next().await.unwrap().unwrap();
        if let WatchEvent::Deleted(mirror) = change {
            break mirror.status.unwrap();
        }
    };
    let told = last.container_statuses.unwrap().remove(0).state.unwrap();
    let ended = told.terminated.expect("it is told to have ended");
    assert_eq!(ended.exit_code, 137);

    // A server that takes no status keeps a mirror for a while, and not for ever.
    fs::write(&file, manifest("i:1")).unwrap();
    world.statics.insert(name());
    world
        .until(40, "it is back", |view| view.is_ready(&name()))
        .await;
    world.api_fault(Fault::internal(), |call| {
        call.is_write() && call.resource == "pods" && call.subresource.as_deref() == Some("status")
    });
    fs::remove_file(&file).unwrap();
    world.statics.clear();
    world.until_gone(60, &name()).await;
    world.stop().await;
}

/// It has ended for good, and its mirror says so; a life that begins under its uid is another.
#[tokio::test(start_paused = true)]
async fn a_job_of_a_file_that_comes_back_runs_again_also_if_its_mirror_was_left() {
    let (mut world, directory) = world(9).await;
    world
        .runtime
        .behave("app", Behaviour::exits(Duration::from_secs(2), 0));
    let job = manifest("i:1").replace("\"spec\":{", "\"spec\":{\"restartPolicy\":\"Never\",");
    let file = directory.join("web.json");
    fs::write(&file, &job).unwrap();
    world.start().await;
    let has_succeeded = |view: &View| view.phase(&name()) == Some("Succeeded");
    world.until(60, "it has succeeded", has_succeeded).await;
    world.api_fault(Fault::Delay(Duration::from_secs(3600)), |call| {
        call.is_write() && call.resource == "pods" && call.subresource.is_none()
    });
    fs::remove_file(&file).unwrap();
    world
        .until(200, "its containers are collected", |view| {
            view.containers.is_empty()
        })
        .await;
    assert!(has_succeeded(&world.view().await), "its mirror is left");

    fs::write(&file, &job).unwrap();
    world
        .until(30, "it runs again", |view| {
            !view.running(&name()).is_empty() && view.phase(&name()) == Some("Running")
        })
        .await;
    world
        .until(60, "it has succeeded again", has_succeeded)
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_is_removed_and_comes_back_at_once() {
    let (mut world, directory) = world(2).await;
    let file = directory.join("web.json");
    fs::write(&file, manifest("i:1")).unwrap();
    world.start().await;
    world
        .until(30, "it is ready", |view| view.is_ready(&name()))
        .await;
    let id = world.container_id(&name(), "app");
    fs::remove_file(&file).unwrap();
    world.step_by(Duration::from_secs(2)).await;
    fs::write(&file, manifest("i:1")).unwrap();
    world
        .until(60, "it runs again", |view| {
            view.is_ready(&name())
                && view
                    .containers
                    .iter()
                    .any(|it| it.id != id && it.state == 1)
        })
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_server_runs_static_pods() {
    let (mut world, directory) = world(3).await;
    world.is_alone = true;
    let file = directory.join("web.json");
    fs::write(&file, manifest("i:1")).unwrap();
    world.start().await;
    world
        .until(10, "it runs", |view| view.running(&name()) == ["app"])
        .await;
    world.runtime.exit(&world.container_id(&name(), "app"), 1);
    world.pass(5).await;
    assert_eq!(world.view().await.running(&name()), ["app"]);
    world.kill().await;
    let id = world.container_id(&name(), "app");
    world.start().await;
    world.pass(30).await;
    assert_eq!(world.container_id(&name(), "app"), id);
    fs::write(&file, manifest("i:2")).unwrap();
    world
        .until(30, "the changed one runs", |view| {
            view.running(&name()).len() == 1
                && view
                    .containers
                    .iter()
                    .any(|it| it.state == 1 && it.id != id)
        })
        .await;
    fs::remove_file(&file).unwrap();
    world.statics.clear();
    world
        .until(20, "it is gone", |view| view.running(&name()).is_empty())
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_is_wrong_stops_no_other() {
    let (mut world, directory) = world(4).await;
    fs::write(directory.join("a.json"), "{ this is no pod").unwrap();
    let unnamed = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}});
    fs::write(directory.join("b.json"), unnamed.to_string()).unwrap();
    fs::write(directory.join("web.json"), manifest("i:1")).unwrap();
    world.start().await;
    world
        .until(30, "the good one is ready", |view| view.is_ready(&name()))
        .await;
    world.pass(60).await;
    assert_eq!(world.view().await.pods.len(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_keeps_no_static_pod_from_starting_or_ending() {
    let (mut world, directory) = world(6).await;
    let file = |name: &str| directory.join(name);
    begin(&mut world, &directory).await;
    world.api_fault(Fault::Delay(Duration::from_secs(3600)), |call| {
        call.is_write() && call.resource == "pods"
    });
    // Its mirror cannot be removed.
    fs::remove_file(file("web.json")).unwrap();
    world
        .until(40, "it has ended", |view| view.running(&name()).is_empty())
        .await;
    // Whether it hangs at that is nothing to other pods.
    for number in 0..6 {
        let pod = format!("pod-{number}");
        world.create(&pod, app()).await;
        world
            .until(3, "it runs", |view| !view.running(&pod).is_empty())
            .await;
        world.step_by(Duration::from_millis(3700)).await;
    }
    let other = manifest("i:1").replace("\"web\"", "\"other\"");
    let other_name = format!("other-{NODE}");
    fs::write(file("other.json"), other).unwrap();
    world.statics.insert(other_name.clone());
    world
        .until(60, "another one runs without a mirror", |view| {
            !view.running(&other_name).is_empty()
        })
        .await;
    world.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_that_never_came_to_run_is_forgotten() {
    let (mut world, directory) = world(7).await;
    let file = directory.join("web.json");
    let slow = manifest("i:1").replace(
        "\"terminationGracePeriodSeconds\":2",
        "\"terminationGracePeriodSeconds\":20",
    );
    world.runtime.behave("app", Behaviour::ignores_stop());
    fs::write(&file, slow).unwrap();
    world.start().await;
    world
        .until(30, "it is ready", |view| view.is_ready(&name()))
        .await;
    for image in ["i:2", "i:3"] {
        fs::write(&file, manifest(image)).unwrap();
        world.pass(4).await;
    }
    world
        .until(90, "the last one runs", |view| {
            let container = view.container(&name(), "app");
            view.is_ready(&name()) && container.is_some_and(|it| it.image.contains("i:3"))
        })
        .await;
    world.pass(10).await;
    let census = world.census();
    assert_eq!((census.workers, census.references), (1, 1), "{census:?}");
    world.stop().await;
}
