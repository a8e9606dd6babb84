use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kubewright_clock::Clock;
use kubewright_cri::{Endpoint, Runtime, RuntimeOptions};

use super::{AgentError, AgentOptions};
use crate::client::{ClientLimits, Clients};
use crate::config::{Config, RuntimeKind};
use crate::node::{MachineInfo, detect_node_ip, validate_node_ip};
use crate::resources::{CgroupDriver, CgroupHierarchy, CgroupVersion};
use crate::runtime::driver_of;
use crate::volume::{DirectMounter, KernelMounter, Mounter};

/// Where the kernel has cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// All that an agent asks of the world, gathered in one place.
///
/// Answers to kubelet's `Dependencies`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Dependencies {
    /// The clients of the API server; `None` for an agent that stands alone.
    pub clients: Option<Clients>,
    /// The container runtime.
    pub runtime: Runtime,
    /// Where images are.
    pub images: Runtime,
    /// What the time is.
    pub clock: Clock,
    /// What the machine is.
    pub machine: MachineInfo,
    /// What pods as a whole are limited by; `None` for an agent that leaves that to the runtime.
    pub cgroups: Option<CgroupHierarchy>,
    /// What mounts.
    pub mounter: Arc<dyn Mounter + Send + Sync>,
    /// Where the node is reached; `None` if it is not known.
    pub node_ip: Option<IpAddr>,
    /// Where links to the logs of containers are made; `None` for nowhere.
    pub container_logs_dir: Option<PathBuf>,
}

impl Dependencies {
    /// Gathers what a configuration asks for: reads the machine, finds out its address, and makes
    /// the clients that the kubeconfig names. `runtime` is the runtime and `images` has its images.
    ///
    /// # Errors
    ///
    /// The first that cannot be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn gather(
        config: &Config,
        options: &AgentOptions,
        runtime: Runtime,
        images: Runtime,
    ) -> Result<Self, AgentError> {
        let clients = match &config.kubeconfig {
            Some(path) => Some(clients(path, config).await?),
            None => None,
        };
        let machine = MachineInfo::read(Path::new("/"))?;
        let hierarchy = CgroupHierarchy::detect(CGROUPS);
        if config.fail_cgroup_v1 && hierarchy.version == CgroupVersion::V1 {
            return Err(AgentError::CgroupV1);
        }
        let is_managed = match config.runtime {
            RuntimeKind::Cri => {
                config.cgroups_per_qos && !is_managed_by_systemd(config, &runtime).await?
            }
            // Processes of this machine stay where they are: nothing is isolated.
            RuntimeKind::Process => false,
        };
        let node_ip = match config.node_ip {
            Some(ip) => {
                validate_node_ip(ip, options.loopback)?;
                Some(ip)
            }
            None => detect_node_ip(options.loopback),
        };
        let mounter: Arc<dyn Mounter + Send + Sync> = match config.runtime {
            RuntimeKind::Cri => Arc::new(KernelMounter),
            RuntimeKind::Process => Arc::new(DirectMounter),
        };
        Ok(Self {
            clients,
            runtime,
            images,
            clock: Clock::system(),
            machine,
            cgroups: is_managed.then_some(hierarchy),
            mounter,
            node_ip,
            container_logs_dir: None,
        })
    }

    /// Connects to the container runtime and the image service that a configuration names.
    ///
    /// It never falls back to another one.
    ///
    /// # Errors
    ///
    /// Why they cannot be used: nothing is there, it may not be spoken to, or it is no CRI v1.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connections.
    pub async fn connect(config: &Config) -> Result<(Runtime, Runtime), AgentError> {
        let runtime = connect(&config.runtime_endpoint, config).await?;
        let images = match config.image_endpoint == config.runtime_endpoint {
            true => runtime.clone(),
            false => connect(&config.image_endpoint, config).await?,
        };
        Ok((runtime, images))
    }
}

async fn connect(endpoint: &str, config: &Config) -> Result<Runtime, AgentError> {
    let parsed: Endpoint = endpoint.parse()?;
    let mut options = RuntimeOptions::default();
    options.timeout = config.runtime_request_timeout;
    let connected = Runtime::connect(&parsed, options).await;
    connected.map_err(|source| AgentError::Runtime {
        endpoint: endpoint.to_owned(),
        source,
    })
}

/// Whether it is systemd that makes cgroups: by what the runtime says, or else the configuration.
///
/// The agent does not speak to systemd, and does not write behind its back. It is told aloud.
async fn is_managed_by_systemd(config: &Config, runtime: &Runtime) -> Result<bool, AgentError> {
    let failed = |source| AgentError::Runtime {
        endpoint: config.runtime_endpoint.clone(),
        source,
    };
    let driver = driver_of(runtime).await.map_err(failed)?;
    let driver = driver.unwrap_or(config.cgroup_driver);
    if driver == CgroupDriver::Systemd {
        tracing::warn!(
            "cgroups are managed by systemd: the runtime enforces the limits of containers, and \
             nobody those of pods as a whole"
        );
    }
    Ok(driver == CgroupDriver::Systemd)
}

async fn clients(path: &Path, config: &Config) -> Result<Clients, AgentError> {
    let failed = |error: anyhow::Error| AgentError::Kubeconfig {
        path: path.to_owned(),
        source: error,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(anyhow!(error)))?;
    let options = KubeConfigOptions::default();
    let mut client = kube_client::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| failed(anyhow!(error)))?;
    // Informers, statuses and leases try again by themselves.
    client.default_retry = false;
    if is_on_loopback(&client) {
        client.proxy_url = None;
    }
    Clients::connect(&client, &ClientLimits::of(config)).map_err(AgentError::Client)
}

/// Whether a server is on this machine: no proxy leads there, whatever the environment says.
fn is_on_loopback(server: &kube_client::Config) -> bool {
    let host = server.cluster_url.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependencies")
            .field("runtime", &self.runtime)
            .field("machine", &self.machine)
            .field("node_ip", &self.node_ip)
            .finish_non_exhaustive()
    }
}
