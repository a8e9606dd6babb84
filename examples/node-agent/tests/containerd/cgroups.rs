//! The cgroups of pods, from the agent that makes them to the containers that are in them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use kubewright_containerd::{CgroupRoot, Containerd, Image, Options, Requirements};
use kubewright_cri::v1::ContainerState;
use kubewright_cri::{Runtime, RuntimeOptions};
use node_agent::agent::{Agent, AgentError, AgentOptions, Dependencies};
use node_agent::config::Config;
use node_agent::node::{Loopback, MachineInfo};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "localhost/busybox:1";

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A machine with an agent that has no API server.
struct Node {
    containerd: Containerd,
    runtime: Runtime,
    cgroup: CgroupRoot,
    config: Config,
    agent: JoinSet<Result<(), AgentError>>,
}

impl Node {
    /// A machine with a number among those that run at one time.
    async fn new(number: u8) -> Self {
        let cgroup = CgroupRoot::create(&format!("cgroups-{number}")).unwrap();
        let options = Options::with_subnet(212, number);
        let containerd = Containerd::start(options).await.unwrap();
        containerd.import(&[Image::busybox(IMAGE)]).await.unwrap();
        let runtime = Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await;
        let directory = containerd.directory();
        let mut config = Config::default();
        config.node_name = "node".to_owned();
        config.node_ip = Some([127, 0, 0, 1].into());
        config.root_dir = directory.join("kubelet");
        config.pod_logs_dir = directory.join("pods");
        config.static_pod_path = Some(directory.join("manifests"));
        config.file_check_frequency = Duration::from_secs(1);
        config.resolv_conf = None;
        config.server = None;
        config.healthz = None;
        config.eviction_hard.clear();
        config.image_gc_thresholds = (100, 99);
        config.cgroup_root = Some(cgroup.name());
        config.pod_pids_limit = Some(200);
        for (resource, amount) in [("cpu", "100m"), ("memory", "64Mi"), ("pid", "1000")] {
            let amount = amount.parse().unwrap();
            config.system_reserved.insert(resource.to_owned(), amount);
        }
        fs::create_dir(directory.join("manifests")).unwrap();
        Self {
            runtime: runtime.unwrap(),
            containerd,
            cgroup,
            config,
            agent: JoinSet::new(),
        }
    }

    async fn start_agent(&mut self) {
        let mut options = AgentOptions::default();
        options.loopback = Loopback::Allowed;
        options.retry_delay = Duration::from_millis(500);
        options.initial_restart_delay = Duration::from_millis(200);
        options.sync_loop.housekeeping_period = Duration::from_millis(500);
        let (config, runtime) = (self.config.clone(), self.runtime.clone());
        let dependencies = Dependencies::gather(&config, &options, runtime.clone(), runtime).await;
        let agent = Agent::new(config, options, dependencies.unwrap()).unwrap();
        self.agent.spawn(agent.run(CancellationToken::new()));
    }

    /// Ends the agent as a crash would.
    async fn stop_agent(&mut self) {
        self.agent.shutdown().await;
    }

    fn manifest(&self, name: &str) -> PathBuf {
        let manifests = self.containerd.directory().join("manifests");
        manifests.join(format!("{name}.json"))
    }

    /// Has the agent run a pod of one container with these resources.
    fn run(&self, name: &str, resources: &serde_json::Value) {
        let container = json!({
            "name": "main",
            "image": IMAGE,
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
            "resources": resources,
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
        });
        fs::write(self.manifest(name), pod.to_string()).unwrap();
    }

    /// The directory of a cgroup below that of all pods, in the tree of a controller.
    fn path(&self, controller: &str, name: &str) -> PathBuf {
        let pods = self.cgroup.path(controller).join("kubepods");
        pods.join(name)
    }

    /// What a file of a cgroup has in it: the first name is that of cgroup v1, the second of v2.
    fn value(&self, name: &str, [v1, v2]: [&str; 2]) -> String {
        let file = if self.cgroup.is_unified() { v2 } else { v1 };
        let (controller, _) = file.split_once('.').unwrap();
        let value = fs::read_to_string(self.path(controller, name).join(file));
        value.unwrap_or_default().trim().to_owned()
    }

    /// The cgroups of pods in a class, in whatever tree.
    fn pods(&self, class: &str) -> BTreeSet<String> {
        let trees = self.cgroup.paths().unwrap();
        let classes = trees.iter().map(|tree| tree.join("kubepods").join(class));
        let pods = classes.flat_map(|class| children(&class));
        pods.filter(|name| name.starts_with("pod")).collect()
    }

    /// Waits for the only pod of a class, until all of it runs.
    async fn running(&self, class: &str) -> String {
        let what = format!("a pod runs in {class}");
        let pod = until(&what, || self.pods(class).into_iter().next()).await;
        let pod = format!("{class}/{pod}");
        until(&what, || (self.populated(&pod).len() >= 2).then_some(())).await;
        pod
    }

    /// The cgroups in one that have processes.
    fn populated(&self, name: &str) -> BTreeSet<String> {
        let path = self.path("memory", name);
        let has_processes = |child: &String| {
            let list = fs::read_to_string(path.join(child).join("cgroup.procs"));
            list.is_ok_and(|list| !list.is_empty())
        };
        children(&path).into_iter().filter(has_processes).collect()
    }

    /// The containers that run, by id and when they were made.
    async fn containers(&self) -> BTreeSet<(String, i64)> {
        let containers = self.runtime.list_containers(None).await.unwrap();
        let running = containers.into_iter();
        let running = running.filter(|it| it.state() == ContainerState::ContainerRunning);
        running.map(|it| (it.id, it.created_at)).collect()
    }

    /// Waits until there are any.
    async fn running_containers(&self) -> BTreeSet<(String, i64)> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let containers = self.containers().await;
            if !containers.is_empty() {
                return containers;
            }
            assert!(Instant::now() < deadline, "no container runs");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A cgroup of a pod that nobody knows, and a process in it.
    fn orphan(&self, name: &str) -> Child {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        for controller in ["cpu", "memory", "pids"] {
            let path = self.path(controller, name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        child
    }

    async fn stop(mut self) {
        self.stop_agent().await;
        self.containerd.stop().await.unwrap();
        self.cgroup.remove().unwrap();
    }
}

fn children(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    let names = directories.map(|entry| entry.file_name().into_string());
    names.flatten().collect()
}

async fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = check() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not seen: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

const SHARES: [&str; 2] = ["cpu.shares", "cpu.weight"];
const QUOTA: [&str; 2] = ["cpu.cfs_quota_us", "cpu.max"];
const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const PIDS: [&str; 2] = ["pids.max", "pids.max"];

#[tokio::test(flavor = "multi_thread")]
async fn pods_have_cgroups_as_long_as_they_run() {
    if !Requirements::are_asked_for() {
        return;
    }
    let mut node = Node::new(2).await;
    let is_unified = node.cgroup.is_unified();
    let either = |v1: &str, v2: &str| if is_unified { v2 } else { v1 }.to_owned();
    node.start_agent().await;
    let limited = json!({
        "requests": {"cpu": "100m", "memory": "32Mi"},
        "limits": {"cpu": "500m", "memory": "64Mi"},
    });
    node.run("limited", &limited);
    let pod = node.running("burstable").await;

    // Its own, and its containers' below it.
    assert_eq!(node.value(&pod, SHARES), either("102", "4"));
    assert_eq!(node.value(&pod, QUOTA), either("50000", "50000 100000"));
    assert_eq!(node.value(&pod, MEMORY), (64 << 20).to_string());
    assert_eq!(node.value(&pod, PIDS), "200");
    let containers = node.running_containers().await;
    let below = node.populated(&pod);
    for (id, _) in &containers {
        assert!(below.iter().any(|name| name.contains(id)), "{id} {below:?}");
    }

    // Those of its class and of all pods.
    let shares = either("102", "4");
    until("its class has its shares", || {
        (node.value("burstable", SHARES) == shares).then_some(())
    })
    .await;
    assert_eq!(node.value("besteffort", SHARES), either("2", "1"));
    let machine = MachineInfo::read(Path::new("/")).unwrap();
    let pids = machine.max_pids.unwrap() - 1000;
    assert_eq!(node.value("", PIDS), pids.to_string());
    let memory: u64 = node.value("", MEMORY).parse().unwrap();
    assert!((machine.memory - (64 << 20)).abs_diff(memory) < 1 << 20);
    if !is_unified {
        let shares = (u64::from(machine.cpus) * 1000 - 100) * 1024 / 1000;
        assert_eq!(node.value("", SHARES), shares.to_string());
    }

    // Another agent takes over what runs, and ends what is nobody's.
    node.stop_agent().await;
    let mut lost = node.orphan("besteffort/podlost");
    node.start_agent().await;
    let ended = until("what is in an orphan's cgroup is killed", || {
        lost.try_wait().unwrap()
    })
    .await;
    assert_eq!(ended.signal(), Some(9));
    until("the orphan's cgroup is removed", || {
        node.pods("besteffort").is_empty().then_some(())
    })
    .await;
    assert_eq!(node.containers().await, containers);
    assert_eq!(node.populated(&pod), below);

    // With the pod its cgroup goes, in all trees.
    fs::remove_file(node.manifest("limited")).unwrap();
    until("the pod's cgroup is removed", || {
        node.pods("burstable").is_empty().then_some(())
    })
    .await;
    assert_eq!(node.containers().await, BTreeSet::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_outside_of_its_cgroup_is_brought_inside() {
    if !Requirements::are_asked_for() {
        return;
    }
    let mut node = Node::new(3).await;
    let with_cgroups = node.config.clone();
    node.config.cgroups_per_qos = false;
    node.config.enforce_node_allocatable = false;
    node.start_agent().await;
    node.run("simple", &json!({}));
    let outside = node.running_containers().await;
    assert!(!node.path("memory", "").exists());

    node.stop_agent().await;
    node.config = with_cgroups;
    node.start_agent().await;
    let pod = node.running("besteffort").await;
    let inside = node.running_containers().await;
    assert!(inside.is_disjoint(&outside), "{inside:?} {outside:?}");
    let below = node.populated(&pod);
    for (id, _) in &inside {
        assert!(below.iter().any(|name| name.contains(id)), "{id} {below:?}");
    }
    node.stop().await;
}
