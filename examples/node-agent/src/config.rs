//! How the agent works: flags, and a `KubeletConfiguration` file.
//!
//! [`Flags::config`] is the way of both to a [`Config`]: what a flag says wins over the file, what
//! neither says is upstream's default, and all that is wrong is told at once.

mod duration;
mod error;
mod eviction;
mod file;
mod flags;
mod gates;
mod labels;
mod resolve;
mod validation;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use k8s_openapi::api::core::v1::Taint;
use kubewright_quantity::Quantity;
use kubewright_workqueue::TokenBucket;

pub use duration::{GoDuration, NotADuration};
pub use error::ConfigError;
pub use eviction::{InvalidThreshold, Threshold};
pub use file::{
    AnonymousConfig, AuthenticationConfig, AuthorizationConfig, CrashLoopBackOffConfig,
    KubeletConfiguration, WebhookAuthenticationConfig, WebhookAuthorizationConfig, X509Config,
};
pub use flags::{Flags, Pairs, RuntimeKind};
pub use gates::{FeatureGates, Gate, InvalidGate};

pub use crate::resources::CgroupDriver;

/// How the agent works. The defaults are those of the kubelet of Kubernetes 1.36, unless said
/// otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the node is called. Default: the host's name in lower case.
    pub node_name: String,
    /// The kubeconfig of the API server; without one the agent stands alone. Default: none.
    pub kubeconfig: Option<PathBuf>,
    /// Where the agent keeps the files of pods. Default: `/var/lib/kubelet`.
    pub root_dir: PathBuf,
    /// Where container runtimes write logs. Default: `/var/log/pods`.
    pub pod_logs_dir: PathBuf,
    /// The address that the node is reached at; found out if not given. Default: none.
    pub node_ip: Option<IpAddr>,
    /// Labels of the node when it is registered. Default: none.
    pub node_labels: BTreeMap<String, String>,
    /// Taints of the node when it is registered. Default: none.
    pub taints: Vec<Taint>,
    /// Whether the node is registered. Default: true.
    pub register_node: bool,

    /// What kind of runtime is behind the endpoint. Default: CRI.
    pub runtime: RuntimeKind,
    /// Where the container runtime listens. Default: `unix:///run/containerd/containerd.sock`.
    pub runtime_endpoint: String,
    /// Where the image service listens. Default: where the runtime does.
    pub image_endpoint: String,
    /// How long a call of the runtime may take, but for those that follow something. Default: 2 min.
    pub runtime_request_timeout: Duration,

    /// Static pods in files. Default: none.
    pub static_pod_path: Option<PathBuf>,
    /// How often files are read though nothing told of a change. Default: 20 s.
    pub file_check_frequency: Duration,
    /// Static pods that a web server has. Default: none.
    pub static_pod_url: Option<String>,
    /// What that server is sent along. Default: nothing.
    pub static_pod_url_headers: HeaderMap,
    /// How often the server is asked. Default: 20 s.
    pub http_check_frequency: Duration,
    /// How often a pod is synced though nothing changed. Default: 1 min.
    pub sync_frequency: Duration,
    /// Whether the agent runs its static pods once, and ends. Default: false. Upstream has no such
    /// mode any more.
    pub run_once: bool,

    /// Where the API of the agent listens; port 0 is any free one. Default: `0.0.0.0:10250`; `None`
    /// with `enableServer: false`.
    pub server: Option<SocketAddr>,
    /// Where `/pods` and the like can be read by anybody. Default: nowhere.
    pub read_only_server: Option<SocketAddr>,
    /// Where `/healthz` is served. Default: `127.0.0.1:10248`.
    pub healthz: Option<SocketAddr>,
    /// The certificate of the API and its key. Default: one that the agent signs for itself.
    pub tls: Option<TlsFiles>,
    /// Certificates of this authority say who a client is. Default: none.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients need not say who they are. Default: false.
    pub anonymous_auth: bool,
    /// Whether tokens are reviewed by the API server, and how long an answer holds. Default: 2 min.
    pub webhook_authentication: Option<Duration>,
    /// Who may do what. Default: what the API server says.
    pub authorization: Authorization,
    /// Whether logs, exec, attach and port forwarding are served. Default: true.
    pub enable_debugging_handlers: bool,
    /// How long a stream may be idle. Default: 4 h.
    pub streaming_idle_timeout: Duration,

    /// How many API calls a second the agent makes in the long run, and at once. Default: 50, 100.
    pub api_rate: Rate,
    /// How many events a second it writes. Default: 50, 100.
    pub event_rate: Rate,
    /// How often the node's status is computed. Default: 10 s.
    pub node_status_update_frequency: Duration,
    /// How often it is written though nothing changed. Default: 5 min, or as often as it is
    /// computed if only that is given.
    pub node_status_report_frequency: Duration,
    /// How long the node's lease holds. Default: 40 s.
    pub node_lease_duration: Duration,
    /// How many images the node's status lists; `None` for all. Default: 50.
    pub node_status_max_images: Option<usize>,

    /// How many pods the node takes. Default: 110.
    pub max_pods: u32,
    /// How many processes a pod may have. Default: as many as the node.
    pub pod_pids_limit: Option<u64>,
    /// Resources kept for the system: `cpu`, `memory`, `ephemeral-storage`, `pid`. Default: none.
    pub system_reserved: BTreeMap<String, Quantity>,
    /// Resources kept for the agent and the runtime. Default: none.
    pub kube_reserved: BTreeMap<String, Quantity>,
    /// When pods are evicted at once, by signal. Default: upstream's
    /// (`memory.available<100Mi`, `nodefs.available<10%`, `nodefs.inodesFree<5%`,
    /// `imagefs.available<15%`, `imagefs.inodesFree<5%`).
    pub eviction_hard: BTreeMap<String, Threshold>,
    /// How long a condition of pressure stays after the pressure has gone. Default: 5 min.
    pub eviction_pressure_transition_period: Duration,
    /// The cgroup that all pods are below; it is to be there. Default: the root.
    pub cgroup_root: Option<String>,
    /// Whether pods have cgroups by quality of service. Default: true.
    pub cgroups_per_qos: bool,
    /// Who manages cgroups, unless the runtime says it. Default: cgroupfs. With systemd the limits
    /// of containers are enforced, and those of pods as a whole are not.
    pub cgroup_driver: CgroupDriver,
    /// Whether all pods together are held to what is not reserved of the node, which is `pods` in
    /// upstream's list. Default: true.
    pub enforce_node_allocatable: bool,
    /// Whether the agent refuses to run on cgroup v1. Default: false, unlike upstream's.
    pub fail_cgroup_v1: bool,
    /// Whether limits of CPU are enforced. Default: true.
    pub cpu_cfs_quota: bool,
    /// Over which time CPU limits are enforced. Default: 100 ms.
    pub cpu_cfs_quota_period: Duration,
    /// Whether a container that says nothing of seccomp has the runtime's profile. Default: false.
    pub seccomp_default: bool,

    /// The domain of the cluster's names. Default: none.
    pub cluster_domain: String,
    /// The cluster's name servers. Default: none.
    pub cluster_dns: Vec<IpAddr>,
    /// What the node's own name servers are in; `None` for nothing. Default: `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,

    /// Whether one image is pulled after the other. Default: true, but for `max_parallel_pulls`.
    pub serialize_image_pulls: bool,
    /// How many images are pulled at once, if not serially. Default: any number.
    pub max_parallel_pulls: Option<u32>,
    /// How many pulls a second are begun. Default: 5, 10; `None` for no limit.
    pub pull_rate: Option<Rate>,
    /// How long an image is kept though nobody uses it. Default: 2 min.
    pub image_minimum_age: Duration,
    /// After which time an unused image is removed whatever room there is. Default: never.
    pub image_maximum_age: Option<Duration>,
    /// How full the disk is, in percent, when images are removed, and until when. Default: 85, 80.
    pub image_gc_thresholds: (u8, u8),
    /// How long a log may get before it is rotated, in bytes. Default: 10 Mi.
    pub container_log_max_size: u64,
    /// How many files a log has at most. Default: 5.
    pub container_log_max_files: u32,
    /// Of how many logs rotated files are compressed at once. Default: 1.
    pub container_log_max_workers: u32,
    /// How often logs are looked at. Default: 10 s.
    pub container_log_monitor_interval: Duration,
    /// The longest delay before a crashing container is started again. Default: 5 min.
    pub max_container_restart_period: Duration,

    /// How long pods have to end when the machine is shut down. Default: 0, which is not at all.
    pub shutdown_grace_period: Duration,
    /// How long of that is for critical pods. Default: 0.
    pub shutdown_grace_period_critical_pods: Duration,
    /// The feature gates.
    pub gates: FeatureGates,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
}

/// Who may use the agent's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Whoever has been recognised.
    AlwaysAllow,
    /// Those of whom the API server says so.
    Webhook {
        /// How long a yes holds. Default: 5 min.
        allowed_for: Duration,
        /// How long a no holds. Default: 30 s.
        denied_for: Duration,
    },
}

/// A limit of how often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often a second in the long run; 0 for no limit.
    pub per_second: u32,
    /// How often at once.
    pub burst: u32,
}

impl Rate {
    /// What holds to it; `None` without a limit. One at least goes at once, or none ever would.
    pub(crate) fn bucket(self) -> Option<TokenBucket> {
        let every = Duration::from_secs(1).checked_div(self.per_second)?;
        TokenBucket::new(every, self.burst.max(1)).ok()
    }
}

impl Default for Config {
    /// The defaults, for a node that is called `localhost`.
    fn default() -> Self {
        resolve::resolve(KubeletConfiguration::default(), "localhost".to_owned())
            .expect("the defaults are valid")
    }
}
