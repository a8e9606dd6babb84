//! How long does the node agent take to bring pods to life on containerd, and what does it cost?
//!
//! API server, agent and containerd are processes of their own; what is measured is seen through a
//! watch at the API: from the moment at which the creates are sent until all pods are Running, and
//! from that at which the deletes are sent until all are gone. The peer measured for this question is
//! the kubelet of Kubernetes 1.36 on the same kind of machine: one pod after 0.64 s, 30 pods at once
//! after 4.7 s, their deletion after 4.4 s, 94 MB resident.
//!
//! It needs root, containerd and what else the crate `kubewright-containerd` names.
//!
//!     cargo bench -p kubewright-benches --bench node_agent -- --runs 5

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::api::{DeleteParams, PostParams, WatchParams};
use kube_client::core::WatchEvent;
use kube_client::{Api, Client};
use kubewright_benches::{Cluster, Cost, Process, build};
use kubewright_containerd::{CgroupRoot, Containerd, Image, Options};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

const IMAGE: &str = "localhost/busybox:1";

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// For how long the agent is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// Measures the node agent on containerd.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many pods are created at once.
    #[arg(long, default_value_t = 30)]
    pods: usize,
    /// How often all of it is done.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Passed by `cargo bench`; without meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run showed.
struct Run {
    one: Duration,
    many: Duration,
    deletion: Duration,
    /// What the agent costs when all pods run and nothing happens.
    idle: Cost,
    /// The share of a processor that it takes then.
    load: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let programs = build(&[
        "-p",
        "kubewright-apiserver",
        "--features",
        "kubewright-apiserver/server",
        "-p",
        "node-agent",
    ])
    .await?;
    let mut runs = Vec::new();
    for number in 1..=arguments.runs {
        let cgroup = CgroupRoot::create("bench")?;
        let containerd = Containerd::start(Options::with_subnet(214, 1)).await?;
        containerd.import(&[Image::busybox(IMAGE)]).await?;
        let run = measure(&programs, &containerd, &cgroup, arguments.pods).await;
        containerd.stop().await?;
        cgroup.remove()?;
        let run = run?;
        report(number, arguments.pods, &run);
        runs.push(run);
    }
    summary(&mut runs, arguments.pods);
    Ok(())
}

async fn measure(
    programs: &Path,
    containerd: &Containerd,
    cgroup: &CgroupRoot,
    count: usize,
) -> Result<Run> {
    let directory = tempfile::tempdir()?;
    let cluster = Cluster::start(programs, directory.path()).await?;
    let client = Client::try_from(cluster.config.clone())?;
    let settings = directory.path().join("config.yaml");
    let configuration = configuration(containerd, cgroup, directory.path());
    std::fs::write(&settings, configuration)?;
    let root = directory.path().join("agent").display().to_string();
    let agent = Process::spawn(
        &programs.join("node-agent"),
        &[
            "--kubeconfig",
            &cluster.kubeconfig,
            "--config",
            settings.to_str().context("temporary paths are UTF-8")?,
            "--root-dir",
            &root,
            "--hostname-override",
            "bench",
            "--log",
            "warn",
        ],
    )?;
    ready(&client).await?;

    let pods = Pods::new(&client).await?;
    let one = pods.run(&["one".to_owned()]).await?;
    pods.delete(&["one".to_owned()]).await?;
    let names: Vec<_> = (0..count).map(|index| format!("many-{index}")).collect();
    let many = pods.run(&names).await?;
    // What the burst was followed by is not idleness.
    sleep(Duration::from_secs(5)).await;
    let before = agent.cost()?;
    sleep(IDLE).await;
    let idle = agent.cost()?;
    let load = (idle.cpu.saturating_sub(before.cpu)).as_secs_f64() / IDLE.as_secs_f64();
    let deletion = pods.delete(&names).await?;
    Ok(Run {
        one,
        many,
        deletion,
        idle,
        load,
    })
}

fn configuration(containerd: &Containerd, cgroup: &CgroupRoot, directory: &Path) -> String {
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": containerd.endpoint().to_string(),
        "podLogsDir": directory.join("logs"),
        "cgroupRoot": cgroup.name(),
        "enableServer": false,
        "healthzPort": 0,
        "authentication": {"webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "1Mi"},
    });
    // JSON is YAML.
    configuration.to_string()
}

/// Waits until the node is ready.
async fn ready(client: &Client) -> Result<()> {
    let nodes = Api::<Node>::all(client.clone());
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        let node = nodes.get_opt("bench").await?;
        let conditions = node
            .and_then(|node| node.status?.conditions)
            .unwrap_or_default();
        if conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.status == "True")
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("the node does not become ready")
}

/// The pods of a namespace, created, deleted and watched.
struct Pods {
    api: Api<Pod>,
}

impl Pods {
    async fn new(client: &Client) -> Result<Self> {
        let api = Api::default_namespaced(client.clone());
        Ok(Self { api })
    }

    /// Creates pods at once, and waits until all of them run.
    async fn run(&self, names: &[String]) -> Result<Duration> {
        let is_running = |event: &WatchEvent<Pod>| match event {
            WatchEvent::Modified(pod) => {
                let phase = pod
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref());
                (phase == Some("Running"))
                    .then(|| pod.metadata.name.clone())
                    .flatten()
            }
            _ => None,
        };
        let create = async {
            let creates = names.iter().map(|name| async {
                let pod = serde_json::from_value(pod(name))?;
                self.api.create(&PostParams::default(), &pod).await?;
                anyhow::Ok(())
            });
            futures::future::try_join_all(creates).await?;
            Ok(())
        };
        self.until_all(names, is_running, create).await
    }

    /// Deletes pods at once, and waits until all of them are gone.
    async fn delete(&self, names: &[String]) -> Result<Duration> {
        let is_gone = |event: &WatchEvent<Pod>| match event {
            WatchEvent::Deleted(pod) => pod.metadata.name.clone(),
            _ => None,
        };
        let delete = async {
            let params = DeleteParams::default();
            let deletes = names.iter().map(|name| self.api.delete(name, &params));
            futures::future::try_join_all(deletes).await?;
            Ok(())
        };
        self.until_all(names, is_gone, delete).await
    }

    /// Does something, and tells how long after the beginning all pods were seen as they should be.
    async fn until_all(
        &self,
        names: &[String],
        seen: impl Fn(&WatchEvent<Pod>) -> Option<String>,
        act: impl Future<Output = Result<()>>,
    ) -> Result<Duration> {
        let version = self
            .api
            .list(&Default::default())
            .await?
            .metadata
            .resource_version;
        let version = version.context("lists have a version")?;
        let events = self.api.watch(&WatchParams::default(), &version).await?;
        let mut events = std::pin::pin!(events);
        let began = Instant::now();
        let mut missing: BTreeSet<_> = names.iter().cloned().collect();
        let wait = async {
            while !missing.is_empty() {
                let event = events.next().await.context("the watch has ended")??;
                if let Some(name) = seen(&event) {
                    missing.remove(&name);
                }
            }
            anyhow::Ok(began.elapsed())
        };
        let (acted, took) = tokio::join!(act, timeout(LIMIT, wait));
        acted?;
        took.context("not all pods were seen in time")?
    }
}

fn pod(name: &str) -> serde_json::Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": "bench",
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                // The first process of a container is told to end only if it listens.
                "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"],
            }],
        },
    })
}

fn report(number: usize, pods: usize, run: &Run) {
    #![expect(clippy::print_stdout, reason = "a bench prints its results")]
    println!(
        "run {number}: one pod {:.2} s, {pods} pods {:.2} s, their deletion {:.2} s; with them idle: \
         {:.1} % of a processor, {:.1} MB resident, {:.1} MB at its peak",
        run.one.as_secs_f64(),
        run.many.as_secs_f64(),
        run.deletion.as_secs_f64(),
        run.load * 100.0,
        megabytes(run.idle.resident),
        megabytes(run.idle.peak),
    );
}

fn summary(runs: &mut [Run], pods: usize) {
    #![expect(clippy::print_stdout, reason = "a bench prints its results")]
    let middle = runs.len() / 2;
    let mut median = |what: fn(&Run) -> f64| {
        runs.sort_by(|a, b| what(a).total_cmp(&what(b)));
        what(&runs[middle])
    };
    let (one, many) = (
        median(|run| run.one.as_secs_f64()),
        median(|run| run.many.as_secs_f64()),
    );
    let (deletion, resident, load) = (
        median(|run| run.deletion.as_secs_f64()),
        median(|run| megabytes(run.idle.resident)),
        median(|run| run.load * 100.0),
    );
    println!(
        "median: one pod {one:.2} s, {pods} pods {many:.2} s, deletion {deletion:.2} s, \
         {resident:.1} MB, {load:.1} % of a processor"
    );
    println!("goal:   one pod 0.35 s, 30 pods 3.5 s, deletion 3.5 s, 25 MB");
    println!("kubelet 1.36: one pod 0.64 s, 30 pods 4.7 s, deletion 4.4 s, 94 MB");
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
