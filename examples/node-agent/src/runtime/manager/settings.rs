use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, Rate};
use crate::resources::{Amounts, CgroupDriver, CgroupName};
use crate::runtime::CrashLoop;

/// How a [`RuntimeManager`](super::RuntimeManager) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuntimeSettings {
    /// Where the agent keeps the files of pods. Default: `/var/lib/kubelet`.
    pub root_dir: PathBuf,
    /// Where the runtime writes logs. Default: `/var/log/pods`.
    pub pod_logs_dir: PathBuf,
    /// Where links to the logs of containers are made, for those who collect logs; `None` for
    /// nowhere. Default: nowhere.
    pub container_logs_dir: Option<PathBuf>,
    /// The host's own hosts file, for pods in its network. Default: `/etc/hosts`.
    pub hosts_file: PathBuf,

    /// Who manages cgroups, if the runtime does not say. Default: cgroupfs.
    pub cgroup_driver: CgroupDriver,
    /// The cgroup that those of pods are below. Default: the root.
    pub cgroup_root: CgroupName,
    /// Whether pods have cgroups by quality of service; if not, the runtime puts them where it
    /// likes. Default: true.
    pub cgroups_per_qos: bool,
    /// Whether limits of CPU are enforced. Default: true.
    pub cpu_cfs_quota: bool,
    /// Over which time limits of CPU are enforced. Default: 100 ms.
    pub cpu_cfs_quota_period: Duration,
    /// Whether a container that says nothing of seccomp has the runtime's profile. Default: false.
    pub seccomp_default: bool,

    /// The domain of the cluster's names. Default: none.
    pub cluster_domain: String,
    /// The cluster's name servers. Default: none.
    pub cluster_dns: Vec<IpAddr>,
    /// What the node's own name servers are in; `None` for nothing. Default: `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,

    /// How many images are pulled at once; `None` for any number. Default: 1.
    pub max_parallel_pulls: Option<u32>,
    /// How many pulls a second are begun; `None` for no limit. Default: 5, and 10 at once.
    pub pull_rate: Option<Rate>,

    /// How long a container that crashed waits for the first time. Default: 10 s.
    pub initial_restart_delay: Duration,
    /// How long a container that crashes waits at most. Default: 5 min.
    pub max_restart_delay: Duration,
}

/// What of the node goes into containers. It may change from one to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeResources {
    /// The addresses of the node, the primary one first.
    pub host_ips: Vec<IpAddr>,
    /// What the node has to give to pods.
    pub allocatable: Amounts,
    /// The memory of the node in bytes.
    pub memory_capacity: i64,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            root_dir: "/var/lib/kubelet".into(),
            pod_logs_dir: "/var/log/pods".into(),
            container_logs_dir: None,
            hosts_file: "/etc/hosts".into(),
            cgroup_driver: CgroupDriver::Cgroupfs,
            cgroup_root: CgroupName::default(),
            cgroups_per_qos: true,
            cpu_cfs_quota: true,
            cpu_cfs_quota_period: Duration::from_millis(100),
            seccomp_default: false,
            cluster_domain: String::new(),
            cluster_dns: Vec::new(),
            resolv_conf: Some("/etc/resolv.conf".into()),
            max_parallel_pulls: Some(1),
            pull_rate: Some(Rate {
                per_second: 5,
                burst: 10,
            }),
            initial_restart_delay: CrashLoop::INITIAL,
            max_restart_delay: CrashLoop::MAX,
        }
    }
}

impl From<&Config> for RuntimeSettings {
    /// The settings of an agent; where links to logs are made is not among its own.
    fn from(config: &Config) -> Self {
        let max_parallel_pulls = match config.serialize_image_pulls {
            true => Some(1),
            false => config.max_parallel_pulls,
        };
        Self {
            root_dir: config.root_dir.clone(),
            pod_logs_dir: config.pod_logs_dir.clone(),
            cgroup_driver: config.cgroup_driver,
            cgroup_root: CgroupName::root(config.cgroup_root.as_deref().unwrap_or_default()),
            cgroups_per_qos: config.cgroups_per_qos,
            cpu_cfs_quota: config.cpu_cfs_quota,
            cpu_cfs_quota_period: config.cpu_cfs_quota_period,
            seccomp_default: config.seccomp_default,
            cluster_domain: config.cluster_domain.clone(),
            cluster_dns: config.cluster_dns.clone(),
            resolv_conf: config.resolv_conf.clone(),
            max_parallel_pulls,
            pull_rate: config.pull_rate,
            max_restart_delay: config.max_container_restart_period,
            ..Self::default()
        }
    }
}
