use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kubewright_apiserver::serve::Token;
use kubewright_cri::Runtime;
use kubewright_process_runtime::{ImageRecord, Options, ProcessRuntime, ShimProgram};
use node_agent::agent::{Agent, AgentOptions, Dependencies};
use node_agent::config::{Config, RuntimeKind};
use node_agent::node::Loopback;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::borrowed::{refuse_others, sweep};
use super::{RuntimeChoice, first};
use crate::workload::WEB_IMAGE;

/// What the node is called.
pub(super) const NAME: &str = "playground";

/// How often processes are looked at: people watch, and looking costs little.
const RELIST_PERIOD: Duration = Duration::from_millis(200);

/// What a node agent is started with, again and again.
#[derive(Clone)]
pub(super) struct NodeSettings {
    pub(super) root_dir: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) token: Token,
    pub(super) runtime: RuntimeChoice,
    pub(super) executable: Option<PathBuf>,
}

/// A node: a runtime, and an agent that may be stopped and started anew.
pub(super) struct Node {
    settings: NodeSettings,
    runtime: Runtime,
    images: Runtime,
    /// The runtime, if it is a part of this process and not closed.
    processes: Option<ProcessRuntime>,
    certificate: String,
    tasks: JoinSet<Result<()>>,
    stop: CancellationToken,
}

impl Node {
    /// Starts the runtime and the agent.
    pub(super) async fn start(settings: NodeSettings) -> Result<Self> {
        let (runtime, images, processes) = open(&settings).await?;
        if let RuntimeChoice::Endpoint(endpoint) = &settings.runtime {
            refuse_others(endpoint, &runtime).await?;
        }
        let mut node = Self {
            settings,
            runtime,
            images,
            processes,
            certificate: String::new(),
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        match node.start_agent().await {
            Ok(()) => Ok(node),
            Err(error) => Err(first(error, node.end().await)),
        }
    }

    /// The certificate of the agent's API. It stays the same when the agent is started anew.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    async fn start_agent(&mut self) -> Result<()> {
        let config = config(&self.settings);
        let mut options = AgentOptions::default();
        options.loopback = Loopback::Allowed;
        options.shared_token = Some(self.settings.token.secret().parse()?);
        if self.processes.is_some() {
            options.pleg.relist_period = RELIST_PERIOD;
        }
        let runtimes = (self.runtime.clone(), self.images.clone());
        let mut dependencies =
            Dependencies::gather(&config, &options, runtimes.0, runtimes.1).await?;
        // Whoever else has pods on this machine is to keep theirs, and all that is written is below
        // the root directory.
        dependencies.cgroups = None;
        let mut agent = Agent::new(config, options, dependencies)?;
        let servers = agent.bind().await?;
        let certificate = servers.certificate_pem();
        certificate
            .context("the agent has no API")?
            .clone_into(&mut self.certificate);
        agent.birth_cry();
        self.stop = CancellationToken::new();
        let token = self.stop.clone();
        self.tasks
            .spawn(async move { Ok(servers.run(token).await?) });
        let token = self.stop.clone();
        self.tasks.spawn(async move { Ok(agent.run(token).await?) });
        Ok(())
    }

    /// Stops the agent, and the runtime if it is a part of this process. The containers run on.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let stopped = self.stop_agent().await;
        if let Some(processes) = &self.processes {
            processes.close().await;
        }
        // Only now: who drops this future may have to close it again.
        self.processes = None;
        stopped
    }

    async fn stop_agent(&mut self) -> Result<()> {
        self.stop.cancel();
        let mut all = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.context("a part of the node agent panicked");
            all = all.and(ended.and_then(|ended| ended));
        }
        all
    }

    /// Starts it anew, unless it runs.
    pub(super) async fn start_again(&mut self) -> Result<()> {
        if !self.tasks.is_empty() {
            return Ok(());
        }
        (self.runtime, self.images, self.processes) = self.reopened().await?;
        self.start_agent().await
    }

    /// Stops the agent, ends all containers and removes them.
    pub(super) async fn end(&mut self) -> Result<()> {
        let stopped = self.stop().await;
        // It may have been stopped at any moment, even half; a new one finds all that is there.
        match self.reopened().await? {
            (_, _, Some(processes)) => processes.shutdown().await?,
            (runtime, _, None) => sweep(&runtime).await?,
        }
        stopped
    }

    /// The runtime anew, if it is a part of this process.
    async fn reopened(&self) -> Result<(Runtime, Runtime, Option<ProcessRuntime>)> {
        match self.settings.runtime {
            RuntimeChoice::Process => open(&self.settings).await,
            RuntimeChoice::Endpoint(_) => Ok((self.runtime.clone(), self.images.clone(), None)),
        }
    }

    /// Waits until a part of it ends by itself.
    pub(super) async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the node agent panicked")??,
            None => std::future::pending().await,
        }
        anyhow::bail!("a part of the node agent ended by itself")
    }
}

/// The runtime, its images, and the runtime itself if it is a part of this process.
async fn open(settings: &NodeSettings) -> Result<(Runtime, Runtime, Option<ProcessRuntime>)> {
    let RuntimeChoice::Process = settings.runtime else {
        let (runtime, images) = Dependencies::connect(&config(settings)).await?;
        return Ok((runtime, images, None));
    };
    let mut options = Options::new(settings.root_dir.join("runtime"));
    let program = match &settings.executable {
        Some(path) => {
            options.shim = ShimProgram::Path(path.clone());
            path.clone()
        }
        None => std::env::current_exe().context("this program cannot be found")?,
    };
    let mut web = ImageRecord::new(WEB_IMAGE, &settings.root_dir);
    web.entrypoint = vec![program.display().to_string()];
    options.images = vec![web];
    let processes = ProcessRuntime::open(options).await?;
    let runtime = Runtime::in_process(processes.clone());
    Ok((runtime.clone(), runtime, Some(processes)))
}

fn config(settings: &NodeSettings) -> Config {
    let mut config = Config::default();
    NAME.clone_into(&mut config.node_name);
    config.kubeconfig = Some(settings.kubeconfig.clone());
    config.root_dir = settings.root_dir.join("node");
    config.pod_logs_dir = settings.root_dir.join("logs");
    config.node_ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    config.server = Some(settings.listen);
    // The API has it too.
    config.healthz = None;
    // The machine is somebody's own: it may be as full as they like, and its images are theirs.
    config.eviction_hard.clear();
    config.image_gc_thresholds = (100, 100);
    match &settings.runtime {
        RuntimeChoice::Process => config.runtime = RuntimeKind::Process,
        RuntimeChoice::Endpoint(endpoint) => {
            config.runtime = RuntimeKind::Cri;
            // The runtime makes cgroups there, and nobody limits them.
            config.cgroup_root = Some("kubewright-playground".to_owned());
            config.enforce_node_allocatable = false;
            config.runtime_endpoint.clone_from(endpoint);
            config.image_endpoint.clone_from(endpoint);
        }
    }
    config
}
