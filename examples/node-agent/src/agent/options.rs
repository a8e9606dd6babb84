use std::time::Duration;

use crate::node::Loopback;
use crate::pleg::PlegOptions;
use crate::server::SharedToken;
use crate::sync_loop::SyncLoopOptions;
use crate::worker::RetryDelays;

/// How an agent works beyond its [`Config`](crate::config::Config): what kubelet has as constants,
/// and what programs that embed an agent need.
///
/// The defaults are kubelet's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentOptions {
    /// How containers are watched.
    pub pleg: PlegOptions,
    /// How the sync loop goes.
    pub sync_loop: SyncLoopOptions,
    /// How long pods wait after a turn that failed. Default: 10 s.
    pub retry_delay: Duration,
    /// How long a container that crashed waits for the first time. Default: 10 s.
    pub initial_restart_delay: Duration,
    /// How often dead containers are removed. Default: 1 min.
    pub container_gc_period: Duration,
    /// How often images are removed. Default: 5 min.
    pub image_gc_period: Duration,
    /// How often the cgroups of all pods and of classes are sized though nothing changed. Default:
    /// 1 min.
    pub cgroup_period: Duration,
    /// How often the runtime is asked how it is. Default: 5 s.
    pub runtime_period: Duration,
    /// How long config maps and secrets that were read count as new. Default: 1 min.
    pub object_ttl: Duration,
    /// Whether the node may be reached at a loopback address only. Default: no.
    pub loopback: Loopback,
    /// A token whose bearer may use the whole API of the agent, beside those whom the API server
    /// lets in. Default: none.
    pub shared_token: Option<SharedToken>,
    /// What chance is made from. Default: 0.
    pub seed: u64,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            pleg: PlegOptions::default(),
            sync_loop: SyncLoopOptions::default(),
            retry_delay: RetryDelays::default().backoff,
            initial_restart_delay: crate::runtime::CrashLoop::INITIAL,
            container_gc_period: Duration::from_secs(60),
            image_gc_period: Duration::from_secs(300),
            cgroup_period: Duration::from_secs(60),
            runtime_period: Duration::from_secs(5),
            object_ttl: Duration::from_secs(60),
            loopback: Loopback::Refused,
            shared_token: None,
            seed: 0,
        }
    }
}
