//! Containers, sandboxes and logs that are collected. The log tests answer to upstream's
//! `TestPodLogDirectoryGC`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use kubewright_cri::Error;
use node_agent::gc::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerRemoval, LogDirectories, PodStates,
    Reach,
};
use node_agent::pod::{PodName, PodSource, PodUid};
use node_agent::runtime::RuntimeState::{Exited, Running};
use node_agent::runtime::{ListedPod, ObservedPod, PodRuntime};
use node_agent::source::SourcesReady;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{FakePods, at, observed, sandbox};

/// Forgets what is removed.
#[derive(Default)]
struct Runtime {
    pods: FakePods,
    removed: Mutex<Vec<String>>,
}

impl PodRuntime for Runtime {
    async fn list_pods(&self) -> Result<Vec<ListedPod>, Error> {
        self.pods.list_pods().await
    }

    async fn observe(&self, uid: &PodUid, name: &PodName) -> Result<ObservedPod, Error> {
        self.pods.observe(uid, name).await
    }
}

impl ContainerRemoval for Runtime {
    async fn remove_container(&self, id: &str) -> Result<(), Error> {
        self.removed.lock().push(id.into());
        self.pods
            .change(|pod| pod.containers.retain(|it| &*it.id.id != id));
        Ok(())
    }

    async fn remove_sandbox(&self, id: &str) -> Result<(), Error> {
        self.removed.lock().push(id.into());
        self.pods
            .change(|pod| pod.sandboxes.retain(|it| &*it.id != id));
        Ok(())
    }
}

struct States;

impl PodStates for States {
    fn should_pod_content_be_removed(&self, uid: &PodUid) -> bool {
        uid.as_str().starts_with("deleted")
    }

    fn should_pod_runtime_be_removed(&self, uid: &PodUid) -> bool {
        uid.as_str().starts_with("ended")
    }
}

struct Rig {
    runtime: Arc<Runtime>,
    ready: SourcesReady,
    logs: TempDir,
    gc: ContainerGc<Runtime, States>,
}

impl Rig {
    /// The sources have not spoken.
    fn new() -> Self {
        let (runtime, logs) = (Arc::<Runtime>::default(), TempDir::new().unwrap());
        let ready = SourcesReady::awaiting([PodSource::Api]);
        let directory = |name: &str| {
            let path = logs.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let parts = ContainerGcParts {
            runtime: runtime.clone(),
            states: States,
            ready: ready.clone(),
            logs: LogDirectories {
                pods: directory("pods"),
                containers: Some(directory("containers")),
            },
            clock: Clock::starting_at(at(100)),
        };
        Self {
            gc: ContainerGc::new(parts, ContainerGcOptions::default()),
            runtime,
            ready,
            logs,
        }
    }

    fn removed(&self) -> Vec<String> {
        let mut removed = std::mem::take(&mut *self.runtime.removed.lock());
        removed.sort();
        removed
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn garbage_collect() {
    let rig = Rig::new();
    let pod = |of: &str| {
        let mut pod = observed(of, &[(&format!("{of}-c"), Exited)]);
        pod.sandboxes = vec![sandbox(&format!("{of}-s"), false)];
        pod
    };
    let pods = [pod("deleted"), pod("ended"), pod("live")];
    rig.runtime.pods.set(pods);
    rig.gc.collect(Reach::Deleted).await.unwrap();
    assert_eq!(
        rig.removed(),
        Vec::<String>::new(),
        "the sources have not spoken"
    );

    rig.ready.mark(PodSource::Api);
    rig.gc.collect(Reach::Deleted).await.unwrap();
    assert_eq!(rig.removed(), ["deleted-c", "deleted-s"]);
    rig.gc.collect(Reach::Ended).await.unwrap();
    assert_eq!(rig.removed(), ["ended-c", "ended-s"]);
    rig.gc.collect(Reach::Ended).await.unwrap();
    assert_eq!(rig.removed(), Vec::<String>::new());

    rig.runtime.pods.fail_list().await;
    rig.gc.collect(Reach::Ended).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn pod_log_directory_gc() {
    let rig = Rig::new();
    let pods = rig.logs.path().join("pods");
    let all = [
        "ns_web_deleted",
        "ns_web_live",
        "ns_we_b_deleted-2",
        "deleted",
    ];
    for name in all {
        fs::create_dir(pods.join(name)).unwrap();
        fs::write(pods.join(name).join("0.log"), "x").unwrap();
    }
    rig.gc.collect(Reach::Deleted).await.unwrap();
    assert_eq!(names(&pods), set(&all), "the sources have not spoken");
    rig.ready.mark(PodSource::Api);
    rig.gc.collect(Reach::Deleted).await.unwrap();
    assert_eq!(names(&pods), set(&["ns_web_live", "deleted"]));
}

#[tokio::test(start_paused = true)]
async fn links_that_lead_nowhere_go_unless_their_container_goes_on() {
    let rig = Rig::new();
    let containers = [("run", Running), ("end", Exited)];
    rig.runtime.pods.set([observed("1", &containers)]);
    let links = rig.logs.path().join("containers");
    let log = rig.logs.path().join("log");
    let nowhere = rig.logs.path().join("nowhere");
    fs::write(&log, "x").unwrap();
    for (name, leads) in [
        ("web_ns_a-run.log", false),
        ("web_ns_a-end.log", false),
        ("web_ns_a-gone.log", false),
        ("web_ns_a-kept.log", true),
        ("other", false),
    ] {
        let target = if leads { &log } else { &nowhere };
        symlink(target, links.join(name)).unwrap();
    }
    rig.gc.collect(Reach::Deleted).await.unwrap();
    let kept = ["web_ns_a-run.log", "web_ns_a-kept.log", "other"];
    assert_eq!(names(&links), set(&kept));
}

#[tokio::test(start_paused = true)]
async fn it_collects_every_minute_until_the_end() {
    let rig = Rig::new();
    let (token, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(rig.gc.clone().run(token.clone()));
    let lists = || rig.runtime.pods.counts().0;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(lists(), 0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(lists(), 2);
    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
