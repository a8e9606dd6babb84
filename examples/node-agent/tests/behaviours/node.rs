use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube_client::{Api, Client};
use kubewright_apiserver::ApiServer;
use kubewright_apiserver::serve::{Listener, ListenerConfig, Token};
use kubewright_containerd::{CgroupRoot, Containerd, Image, Options as ContainerdOptions};
use kubewright_cri::v1::{Container, ContainerFilter, ContainerState, PodSandboxFilter};
use kubewright_cri::{Runtime, RuntimeOptions};
use kubewright_process_runtime::{ImageRecord, Options, ProcessRuntime};
use kubewright_quantity::Quantity;
use kubewright_streaming::client::Dial;
use node_agent::agent::{Agent, AgentOptions, Dependencies};
use node_agent::config::{Authorization, Config, RuntimeKind};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::assembly;
use crate::door::Door;
use crate::fixture;
use crate::suite::Kind;
use crate::world::{FIXTURE, IMAGE, eventually};

/// A node with its agent, and the API server that it is a node of.
pub(crate) struct Node {
    name: String,
    client: Client,
    runtime: Runtime,
    backend: Mutex<Option<Backend>>,
    config: Config,
    options: AgentOptions,
    token: String,
    door: Door,
    agent: Mutex<Option<Running>>,
    cluster: Mutex<Option<(CancellationToken, JoinSet<()>)>>,
    directory: TempDir,
}

enum Backend {
    Process(ProcessRuntime),
    Containerd(Box<Containerd>, CgroupRoot),
}

/// An agent that runs.
struct Running {
    tasks: JoinSet<Result<()>>,
    address: SocketAddr,
    certificate: String,
}

impl Node {
    /// A node with a number among those that run at one time.
    pub(crate) async fn start(kind: Kind, number: u8) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("node-").tempdir()?;
        let root = directory.path();
        let server = ApiServer::new(kubewright_apiserver::Config::default())?;
        let listener = Listener::bind(ListenerConfig::default()).await?;
        let kubeconfig = root.join("kubeconfig");
        listener.kubeconfig().write(&kubeconfig)?;

        let (backend, runtime) = backend(kind, number, root).await?;
        let mut config = config(kind, number, root, &kubeconfig);
        if let Backend::Containerd(_, cgroup) = &backend {
            config.cgroup_root = Some(cgroup.name());
        }
        let token = format!(
            "agent-{number}-{}",
            listener.token().map_or("", Token::secret)
        );
        let options = assembly::options(&token)?;
        std::fs::create_dir_all(root.join("manifests"))?;
        let running = start(&config, &options, &runtime).await?;

        let authority = running.certificate.clone();
        let (service, controllers) = assembly::control_plane(&server, authority, &token)?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (one, other) = (stop.clone(), stop.clone());
        tasks.spawn(async move { controllers.run(one).await });
        let (client, door) = client(&kubeconfig, listener.token()).await?;
        tasks.spawn(async move { listener.serve(service, other).await });
        let node = Self {
            name: config.node_name.clone(),
            client,
            runtime,
            backend: Mutex::new(Some(backend)),
            config,
            options,
            token,
            door,
            agent: Mutex::new(Some(running)),
            cluster: Mutex::new(Some((stop, tasks))),
            directory,
        };
        node.wait_until_ready().await?;
        Ok(node)
    }

    /// Ends everything, and sees to it that nothing is left.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.stop_agent().await?;
        if let Some((stop, mut tasks)) = self.cluster.lock().await.take() {
            stop.cancel();
            while tasks.join_next().await.is_some() {}
        }
        match self.backend.lock().await.take() {
            Some(Backend::Process(processes)) => processes.shutdown().await?,
            Some(Backend::Containerd(containerd, cgroup)) => {
                containerd.stop().await?;
                cgroup.remove()?;
            }
            None => {}
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let root = self.root_dir().display().to_string();
        // What was mounted for pods goes with them; what an agent left that was stopped is ours.
        for line in mounts.lines().filter(|line| line.contains(&root)).rev() {
            let target = line.split(' ').nth(1).unwrap_or_default();
            let detach = rustix::mount::UnmountFlags::DETACH;
            rustix::mount::unmount(target, detach).context(line.to_owned())?;
        }
        Ok(())
    }

    /// Ends the agent as a crash would.
    pub(crate) async fn stop_agent(&self) -> Result<()> {
        if let Some(mut running) = self.agent.lock().await.take() {
            running.tasks.shutdown().await;
        }
        Ok(())
    }

    /// Starts another agent on what the one before left.
    pub(crate) async fn start_agent(&self) -> Result<()> {
        self.start_with(&self.config).await
    }

    /// Starts an agent that knows of no API server.
    pub(crate) async fn start_standalone_agent(&self) -> Result<()> {
        let mut config = self.config.clone();
        config.kubeconfig = None;
        config.authorization = Authorization::AlwaysAllow;
        config.webhook_authentication = None;
        self.start_with(&config).await
    }

    async fn start_with(&self, config: &Config) -> Result<()> {
        let mut agent = self.agent.lock().await;
        ensure!(agent.is_none(), "an agent runs already");
        // A process that another behaviour is about to start has the sockets of this one open, for
        // the moment between its fork and its program.
        let started = eventually("an agent starts", async || {
            match start(config, &self.options, &self.runtime).await {
                Ok(running) => Ok(Some(running)),
                Err(error) if is_address_in_use(&error) => Ok(None),
                Err(error) => Err(error),
            }
        });
        *agent = Some(started.await?);
        Ok(())
    }

    async fn wait_until_ready(&self) -> Result<()> {
        eventually("the node is ready", async || {
            let node = Api::<NodeObject>::all(self.client.clone())
                .get_opt(&self.name)
                .await?;
            let conditions = node
                .and_then(|node| node.status?.conditions)
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|it| it.type_ == "Ready" && it.status == "True");
            Ok(ready.then_some(()))
        })
        .await
    }

    /// Asks the agent itself.
    pub(crate) async fn ask_agent(&self, path: &str) -> Result<Value> {
        let agent = self.agent.lock().await;
        let running = agent.as_ref().context("no agent runs")?;
        let mut config = kube_client::Config::new(format!("https://{}", running.address).parse()?);
        config.root_cert = Some(vec![der(&running.certificate)?]);
        config.auth_info.token = Some(self.token.clone().into());
        let client = Client::try_from(config)?;
        let request = http::Request::get(path).body(Vec::new())?;
        Ok(client.request(request).await?)
    }

    /// A connection to the API server, for what is at a path.
    pub(crate) async fn dial(&self, path: &str) -> Result<Dial> {
        self.door.dial(path).await
    }

    /// What the node is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The API server, as an administrator sees it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where the agent keeps the files of pods.
    pub(crate) fn root_dir(&self) -> &Path {
        &self.config.root_dir
    }

    /// Where logs are.
    pub(crate) fn logs_dir(&self) -> &Path {
        &self.config.pod_logs_dir
    }

    /// Where static pods are.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    /// How long the lease of the node holds.
    pub(crate) fn lease_seconds(&self) -> i32 {
        i32::try_from(self.config.node_lease_duration.as_secs()).unwrap_or(i32::MAX)
    }

    /// How much of processors the node has for pods.
    pub(crate) async fn allocatable_milli_cpu(&self) -> Result<i64> {
        let node = Api::<NodeObject>::all(self.client.clone())
            .get(&self.name)
            .await?;
        let allocatable = node.status.and_then(|status| status.allocatable);
        let cpu = allocatable.and_then(|all| all.get("cpu").cloned());
        let cpu = Quantity::parse(&cpu.context("it tells of processors")?.0)?;
        Ok(cpu.milli_value())
    }

    /// The sandboxes of a pod.
    pub(crate) async fn sandboxes(&self, uid: &str) -> Result<Vec<String>> {
        let filter = PodSandboxFilter {
            label_selector: BTreeMap::from([("io.kubernetes.pod.uid".to_owned(), uid.to_owned())]),
            ..PodSandboxFilter::default()
        };
        let sandboxes = self.runtime.list_pod_sandbox(Some(filter)).await?;
        Ok(sandboxes.into_iter().map(|sandbox| sandbox.id).collect())
    }

    /// Ends the sandboxes of a pod, behind the agent's back.
    pub(crate) async fn stop_sandboxes(&self, uid: &str) -> Result<()> {
        for sandbox in self.sandboxes(uid).await? {
            self.runtime.stop_pod_sandbox(&sandbox).await?;
        }
        Ok(())
    }

    /// Whether a container of a pod of this name runs.
    pub(crate) async fn runs(&self, pod: &str) -> Result<bool> {
        let containers = self.all_containers().await?;
        Ok(containers.iter().any(|it| {
            it.state() == ContainerState::ContainerRunning
                && it
                    .labels
                    .get("io.kubernetes.pod.name")
                    .is_some_and(|name| name == pod)
        }))
    }

    /// The uids of the pods that the agent knows and whose name begins so.
    pub(crate) async fn seen_static(&self, name: &str) -> Result<BTreeSet<String>> {
        let pods = self.ask_agent("/pods").await?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let named = pods.iter().filter(|pod| {
            let own = pod["metadata"]["name"].as_str();
            own.is_some_and(|own| own.starts_with(name))
        });
        let uids = named.filter_map(|pod| pod["metadata"]["uid"].as_str());
        Ok(uids.map(str::to_owned).collect())
    }

    /// All containers of the node.
    pub(crate) async fn all_containers(&self) -> Result<Vec<Container>> {
        Ok(self.runtime.list_containers(None).await?)
    }

    /// How many containers of a pod have ended and are kept.
    pub(crate) async fn dead_containers(&self, uid: &str) -> Result<usize> {
        let filter = ContainerFilter {
            label_selector: BTreeMap::from([("io.kubernetes.pod.uid".to_owned(), uid.to_owned())]),
            ..ContainerFilter::default()
        };
        let containers = self.runtime.list_containers(Some(filter)).await?;
        let dead = containers
            .iter()
            .filter(|it| it.state() == ContainerState::ContainerExited);
        Ok(dead.count())
    }

    /// Removes all containers that have ended, behind the agent's back.
    pub(crate) async fn remove_dead_containers(&self) -> Result<()> {
        let dead = async || {
            let containers = self.all_containers().await?.into_iter();
            let dead = containers.filter(|it| it.state() == ContainerState::ContainerExited);
            anyhow::Ok(dead.map(|it| it.id).collect::<Vec<_>>())
        };
        let all = dead().await?;
        for container in &all {
            // The agent may be just about to remove it as well.
            let _ = self.runtime.remove_container(container).await;
        }
        eventually("they are removed", async || {
            let left = dead().await?;
            Ok((!left.iter().any(|it| all.contains(it))).then_some(()))
        })
        .await
    }

    /// The running containers, by id and when they were made: no other has both.
    pub(crate) async fn processes(&self) -> Result<BTreeSet<(String, i64)>> {
        let containers = self.all_containers().await?;
        let running = containers.into_iter();
        let running = running.filter(|it| it.state() == ContainerState::ContainerRunning);
        Ok(running.map(|it| (it.id, it.created_at)).collect())
    }
}

async fn start(config: &Config, options: &AgentOptions, runtime: &Runtime) -> Result<Running> {
    let (runtime, images) = (runtime.clone(), runtime.clone());
    let dependencies = Dependencies::gather(config, options, runtime, images).await?;
    let mut agent = Agent::new(config.clone(), options.clone(), dependencies)?;
    let servers = agent.bind().await?;
    let address = servers.api().context("the API of the agent is served")?;
    let certificate = servers
        .certificate_pem()
        .context("it is served over TLS")?
        .to_owned();
    agent.birth_cry();
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    let stop_of_servers = stop.clone();
    tasks.spawn(async move { Ok(servers.run(stop_of_servers).await?) });
    tasks.spawn(async move { Ok(agent.run(stop).await?) });
    Ok(Running {
        tasks,
        address,
        certificate,
    })
}

fn is_address_in_use(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::AddrInUse)
}

async fn backend(kind: Kind, number: u8, root: &Path) -> Result<(Backend, Runtime)> {
    let program = fixture::files()?;
    match kind {
        Kind::Process => {
            let mut options = Options::new(root.join("runtime"));
            options.images = images(root, &program[0]);
            let processes = ProcessRuntime::open(options).await?;
            let runtime = Runtime::in_process(processes.clone());
            Ok((Backend::Process(processes), runtime))
        }
        Kind::Containerd => {
            let cgroup = CgroupRoot::create(&format!("node-{number}"))?;
            let options = ContainerdOptions::with_subnet(212, number);
            let containerd = Containerd::start(options).await?;
            // The program is large, and a node of its own shows nothing that needs it.
            let program = (number == 0).then_some(&program[..]);
            containerd.import(&container_images(program)).await?;
            let runtime =
                Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await?;
            Ok((Backend::Containerd(Box::new(containerd), cgroup), runtime))
        }
    }
}

fn images(root: &Path, program: &Path) -> Vec<ImageRecord> {
    let image = |name: &str, entrypoint: &[&str], command: &[&str]| {
        let mut image = ImageRecord::new(name, root);
        image.entrypoint = entrypoint.iter().map(|word| (*word).to_owned()).collect();
        image.command = command.iter().map(|word| (*word).to_owned()).collect();
        image
    };
    let program = program.display().to_string();
    vec![
        image(IMAGE, &[], &["sh"]),
        image("localhost/busybox:2", &[], &["sh"]),
        image("localhost/echo:1", &["echo", "image"], &["default"]),
        image(FIXTURE, &[&program, fixture::ROLE], &[]),
    ]
}

fn container_images(files: Option<&[PathBuf]>) -> Vec<Image> {
    let echo = Image::busybox("localhost/echo:1").entrypoint(["/bin/echo", "image"]);
    let mut images = vec![
        Image::busybox(IMAGE),
        Image::busybox("localhost/busybox:2").variable("VERSION", "2"),
        echo.command(["default"]),
        Image::busybox("localhost/app:1").user("app"),
    ];
    images.extend(files.map(fixture_image));
    images
}

fn fixture_image(files: &[PathBuf]) -> Image {
    let fixture = Image::busybox(FIXTURE).entrypoint(["/fixture", fixture::ROLE]);
    let fixture = fixture.file(&files[0], "/fixture");
    files[1..].iter().fold(fixture, |image, file| {
        let path = file.display().to_string();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Programs name what loads them by another path than it is found at.
        let image = match name.starts_with("ld-") {
            true => image
                .file(file, format!("/lib64/{name}"))
                .file(file, format!("/lib/{name}")),
            false => image,
        };
        image.file(file, path)
    })
}

/// As kubelet's but for short times.
fn config(kind: Kind, number: u8, root: &Path, kubeconfig: &Path) -> Config {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut config = Config::default();
    config.node_name = format!("node-{number}");
    config.kubeconfig = Some(kubeconfig.to_owned());
    config.root_dir = root.join("agent");
    config.pod_logs_dir = root.join("logs");
    config.static_pod_path = Some(root.join("manifests"));
    config.file_check_frequency = Duration::from_secs(1);
    config.sync_frequency = Duration::from_secs(2);
    config.server = Some(SocketAddr::new(loopback, 0));
    config.healthz = None;
    config.node_status_update_frequency = Duration::from_secs(1);
    config.node_lease_duration = Duration::from_secs(8);
    config.container_log_max_size = 100_000;
    config.container_log_monitor_interval = Duration::from_millis(500);
    // Whatever disk the tests run on is not their affair.
    config.eviction_hard = BTreeMap::new();
    config.image_gc_thresholds = (100, 99);
    config.node_ip = Some(loopback);
    if kind == Kind::Process {
        config.runtime = RuntimeKind::Process;
    }
    config
}

/// A client of the API server, and another way to it.
async fn client(kubeconfig: &Path, token: Option<&Token>) -> Result<(Client, Door)> {
    let config = assembly::client_config(kubeconfig).await?;
    let roots = config.root_cert.clone().unwrap_or_default();
    let door = Door::new(config.cluster_url.clone(), roots, token)?;
    Ok((Client::try_from(config)?, door))
}

/// The first certificate of a PEM text.
fn der(pem: &str) -> Result<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
    Ok(certificate
        .map_err(|error| anyhow::anyhow!("{error:?}"))?
        .to_vec())
}
