//! Pods come, run, end and go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube_client::api::{Api, Patch, PatchParams, PostParams};
use kubewright_cri::testing::{Behaviour, OnStop};
use node_agent::volume::{DirectMounter, Mounter, OpenedSubPath, TmpfsOptions};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{World, app};

#[tokio::test(start_paused = true)]
async fn a_pod_runs_and_is_deleted() {
    let mut world = World::new(1).await;
    let pod = world.run("web", app()).await;
    let status = pod.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(status.pod_ip.is_some() && status.host_ip.as_deref() == Some("127.0.0.1"));
    assert!(status.start_time.is_some());
    let mut told: Vec<_> = status.conditions.unwrap();
    told.sort_by(|a, b| a.type_.cmp(&b.type_));
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.type_.as_str(), it.status.as_str()))
        .collect();
    let expected = [
        "ContainersReady",
        "Initialized",
        "PodReadyToStartContainers",
        "PodScheduled",
        "Ready",
    ];
    assert_eq!(told, expected.map(|type_| (type_, "True")));

    world.delete("web").await;
    world.until_gone(10, "web").await;
    for reason in ["Pulled", "Created", "Started", "Killing"] {
        assert!(world.has_event("web", reason).await, "{reason}");
    }
    // The garbage collection has the rest.
    world.pass(130).await;
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{}",
        view.told()
    );
    let left = fs::read_dir(world.config.root_dir.join("pods")).unwrap();
    assert_eq!(left.count(), 0, "files of the pod are left");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_end_as_their_containers_do() {
    let mut world = World::new(2).await;
    world
        .runtime
        .behave("good", Behaviour::exits(3 * SECOND, 0));
    world.runtime.behave("bad", Behaviour::exits(3 * SECOND, 7));
    // Name, container, restart policy, phase, exit code.
    for (name, container, policy, phase, code) in [
        ("good-never", "good", "Never", "Succeeded", 0),
        ("bad-never", "bad", "Never", "Failed", 7),
        ("good-on-failure", "good", "OnFailure", "Succeeded", 0),
    ] {
        let containers = json!([{"name": container, "image": "i"}]);
        let spec = json!({"restartPolicy": policy, "containers": containers});
        world.create(name, spec).await;
        world
            .until(20, phase, |view| view.phase(name) == Some(phase))
            .await;
        let view = world.view().await;
        let status = view.container(name, container).unwrap();
        let ended = status.state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((ended.exit_code, status.restart_count), (code, 0));
        assert_eq!(view.condition(name, "Ready"), Some("False"));
        // Nothing happens to it any more.
        world.pass(90).await;
        assert_eq!(
            world.seconds_of("StartContainer", &format!("{name}/{container}")),
            [0]
        );
        world.delete(name).await;
        world.until_gone(10, name).await;
    }
    let containers = json!([{"name": "bad", "image": "i"}]);
    world
        .create(
            "again",
            json!({"restartPolicy": "OnFailure", "containers": containers}),
        )
        .await;
    world
        .until(30, "it is started again", |view| {
            view.restarts("again", "bad") == 1
        })
        .await;
    world.delete("again").await;
    world.until_gone(40, "again").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn init_containers_come_first_and_one_by_one() {
    let mut world = World::new(3).await;
    world
        .runtime
        .behave("first", Behaviour::exits(2 * SECOND, 0));
    world
        .runtime
        .behave("second", Behaviour::exits(2 * SECOND, 0));
    let spec = json!({
        "initContainers": [
            {"name": "first", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always"},
            {"name": "second", "image": "i"},
        ],
        "containers": [{"name": "app", "image": "i"}, {"name": "other", "image": "i"}],
        "terminationGracePeriodSeconds": 5,
    });
    world.run("web", spec).await;
    let calls = world.runtime.calls();
    let started: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "StartContainer")
        .map(|call| call.subject.as_str())
        .collect();
    let expected = [
        "web/first",
        "web/side",
        "web/second",
        "web/app",
        "web/other",
    ];
    assert_eq!(started, expected);

    // The sidecar goes last.
    world.runtime.behave("app", Behaviour::default());
    world.runtime.take_calls();
    world.delete("web").await;
    world.until_gone(20, "web").await;
    let calls = world.runtime.calls();
    let stopped: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "StopContainer")
        .map(|call| call.subject.as_str())
        .collect();
    assert_eq!(stopped.last(), Some(&"web/side"), "{stopped:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_fails_fails_its_pod_if_it_may_not_restart() {
    let mut world = World::new(4).await;
    world.runtime.behave("init", Behaviour::exits(SECOND, 3));
    let spec = |policy| {
        json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "init", "image": "i"}],
            "containers": [{"name": "app", "image": "i"}],
        })
    };
    world.create("never", spec("Never")).await;
    world
        .until(20, "it fails", |view| view.phase("never") == Some("Failed"))
        .await;
    world.create("always", spec("Always")).await;
    world
        .until(60, "init is tried again", |view| {
            view.restarts("always", "init") >= 2
        })
        .await;
    let view = world.view().await;
    assert_eq!(view.phase("always"), Some("Pending"));
    assert!(world.seconds_of("StartContainer", "never/app").is_empty());
    assert!(world.seconds_of("StartContainer", "always/app").is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_deleted_while_it_starts() {
    let mut world = World::new(5).await;
    world
        .runtime
        .behave("init", Behaviour::exits(3600 * SECOND, 0));
    let spec = json!({
        "terminationGracePeriodSeconds": 5,
        "initContainers": [{"name": "init", "image": "i"}],
        "containers": [{"name": "app", "image": "i"}],
    });
    for after in [0, 10, 20, 50, 100, 500, 2000] {
        world.create("web", spec.clone()).await;
        world.step_by(Duration::from_millis(after)).await;
        world.delete("web").await;
        world.until_gone(15, "web").await;
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_grace_shrinks_and_never_grows() {
    let mut world = World::new(6).await;
    world.runtime.behave("app", Behaviour::ignores_stop());
    let spec = json!({
        "terminationGracePeriodSeconds": 600,
        "containers": [{"name": "app", "image": "i"}],
    });
    world.run("web", spec.clone()).await;
    world.delete("web").await;
    world.pass(20).await;
    assert_eq!(
        world.view().await.running("web"),
        ["app"],
        "it has its grace"
    );
    world.delete_within("web", Some(3)).await;
    world.until_gone(10, "web").await;
    let calls = world.runtime.calls();
    let graces: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "StopContainer" && call.subject == "web/app")
        .map(|call| call.seconds)
        .collect();
    assert_eq!(graces[0], 600);
    assert!(graces[1] <= 3, "{graces:?}");

    // By force, which asks nobody: the node gives it the grace of its spec.
    let mut spec = spec;
    spec["terminationGracePeriodSeconds"] = 30.into();
    world.run("web", spec).await;
    world.delete_within("web", Some(0)).await;
    world.until_gone(35, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_ignores_sigterm_is_killed_when_its_grace_is_over() {
    let mut world = World::new(7).await;
    world.runtime.behave("app", Behaviour::ignores_stop());
    world.run("web", app()).await;
    world.delete("web").await;
    world.pass(4).await;
    assert_eq!(world.view().await.running("web"), ["app"]);
    world.until_gone(6, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_past_its_deadline_fails() {
    let mut world = World::new(8).await;
    let mut spec = app();
    spec["activeDeadlineSeconds"] = 20.into();
    world.run("web", spec).await;
    world.pass(15).await;
    assert_eq!(world.view().await.phase("web"), Some("Running"));
    world
        .until(15, "it fails", |view| view.phase("web") == Some("Failed"))
        .await;
    let view = world.view().await;
    assert_eq!(view.reason("web"), Some("DeadlineExceeded"));
    assert!(view.running("web").is_empty());
    world.delete("web").await;
    world.until_gone(10, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_killed_from_outside_is_started_again() {
    let mut world = World::new(9).await;
    let mut behaviour = Behaviour::default();
    behaviour.on_stop = OnStop::Exits {
        after: SECOND,
        code: 0,
    };
    world.runtime.behave("app", behaviour);
    world.run("web", app()).await;
    let id = world.container_id("web", "app");
    world.runtime.exit(&id, 137);
    world
        .until(5, "it is started again", |view| {
            view.restarts("web", "app") == 1 && view.is_ready("web")
        })
        .await;
    let view = world.view().await;
    let last = view
        .container("web", "app")
        .unwrap()
        .last_state
        .clone()
        .unwrap();
    assert_eq!(last.terminated.unwrap().exit_code, 137);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_changes_restarts_its_container_and_nothing_else_does() {
    let mut world = World::new(10).await;
    let mut pod = world.run("web", app()).await;
    let id = world.container_id("web", "app");
    pod.metadata.labels = Some([("a".into(), "b".into())].into());
    let pod = world
        .pods()
        .replace("web", &Default::default(), &pod)
        .await
        .unwrap();
    world.pass(10).await;
    assert_eq!(world.container_id("web", "app"), id);
    let mut pod = pod;
    let latest = world.pods().get("web").await.unwrap();
    pod.metadata.resource_version = latest.metadata.resource_version;
    pod.spec.as_mut().unwrap().containers[0].image = Some("app:2".into());
    world
        .pods()
        .replace("web", &Default::default(), &pod)
        .await
        .unwrap();
    world
        .until(20, "it is started again", |view| {
            let container = view.container("web", "app").unwrap();
            container.image.contains("app:2") && container.ready
        })
        .await;
    world.stop().await;
}

/// As `kubectl debug` adds one. What a pod refers to is kept; what nobody is known to refer to is not.
#[tokio::test(start_paused = true)]
async fn what_a_container_refers_to_that_comes_later_is_kept_as_well() {
    let mut world = World::new(13).await;
    let api: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let map = json!({"metadata": {"name": "late"}, "data": {"KEY": "value"}});
    let map = serde_json::from_value(map).unwrap();
    api.create(&PostParams::default(), &map).await.unwrap();
    world.run("web", app()).await;
    assert_eq!(world.census().objects, 0);

    let container = json!({
        "name": "debugger", "image": "i", "envFrom": [{"configMapRef": {"name": "late"}}],
    });
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}));
    let params = PatchParams::default();
    let pods = world.pods();
    let patched = pods.patch_ephemeral_containers("web", &params, &patch);
    patched.await.unwrap();
    world
        .until(10, "the debugger runs", |view| {
            view.running("web").contains(&"debugger")
        })
        .await;
    assert_eq!(world.census().objects, 1);
    world.delete("web").await;
    world.until_gone(20, "web").await;
    world.pass(5).await;
    assert_eq!(world.census().objects, 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_lost_is_made_anew() {
    let mut world = World::new(11).await;
    world.run("web", app()).await;
    let sandbox = world.runtime.sandboxes()[0].id.clone();
    world.runtime.lose_sandbox(&sandbox);
    world
        .until(30, "another sandbox runs", |view| {
            let ready = view.sandboxes.iter().find(|it| it.state == 0);
            ready.is_some_and(|it| it.id != sandbox) && view.is_ready("web")
        })
        .await;
    world.delete("web").await;
    world.until_gone(10, "web").await;
    world.stop().await;
}

const SECOND: Duration = Duration::from_secs(1);

/// A mounter that takes its time over the files of one pod, until the test lets it go on.
struct Slow {
    uid: &'static str,
    begun: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Mounter for Slow {
    fn tmpfs(&self, target: &Path, options: TmpfsOptions) -> io::Result<()> {
        DirectMounter.tmpfs(target, options)
    }

    fn bind(&self, source: &OpenedSubPath, target: &Path) -> io::Result<PathBuf> {
        DirectMounter.bind(source, target)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        DirectMounter.unmount(target)
    }

    fn mounts_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        if path.ends_with(self.uid) {
            let _ = self.begun.send(());
            let _ = self.go_on.lock().recv();
        }
        DirectMounter.mounts_below(path)
    }
}

/// In real time: the clock of the others stands still while files are worked on.
#[tokio::test]
async fn large_files_of_a_pod_that_is_gone_keep_no_other_from_starting() {
    let mut world = World::idle(30).await;
    let (begun, begins) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    world.mounter = Arc::new(Slow {
        uid: "orphan",
        begun,
        go_on: Mutex::new(goes_on),
    });
    let files = world.config.root_dir.join("pods/orphan");
    fs::create_dir_all(&files).unwrap();
    world.start().await;
    world.until_ready().await;
    let end = Instant::now() + Duration::from_secs(20);
    while begins.try_recv().is_err() {
        assert!(Instant::now() < end, "nobody removes them");
        world.step().await;
    }
    world.run("web", app()).await;
    assert!(files.exists());
    drop(go_on);
    while files.exists() {
        assert!(Instant::now() < end, "they are not removed");
        world.step().await;
    }
    world.stop().await;
}
