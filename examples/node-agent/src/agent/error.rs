use std::io;
use std::path::PathBuf;

use crate::node::MachineError;
use crate::server::ServerError;

/// Why an agent cannot be made or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The endpoint of the container runtime makes no sense.
    #[error("the endpoint of the container runtime cannot be used")]
    Endpoint(#[from] kubewright_cri::EndpointError),
    /// The container runtime cannot be used: it is absent, it may not be spoken to, or what answers
    /// is none.
    #[error("the container runtime at {endpoint} cannot be used")]
    Runtime {
        /// Where it should be.
        endpoint: String,
        /// Why not.
        source: kubewright_cri::Error,
    },
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: anyhow::Error,
    },
    /// The clients of the API server cannot be made.
    #[error("the API server cannot be spoken to")]
    Client(#[source] kube_client::Error),
    /// The machine does not tell what it is.
    #[error("the machine does not tell what it is")]
    Machine(#[from] MachineError),
    /// The machine is one that the configuration refuses to run on.
    #[error("kubelet is configured to not run on a host using cgroup v1")]
    CgroupV1,
    /// Pods cannot have cgroups.
    #[error(
        "the cgroups of pods cannot be had; with cgroupsPerQOS: false and enforceNodeAllocatable: \
         [none] they are left to the container runtime"
    )]
    Cgroups(#[source] io::Error),
    /// More is reserved of the machine than it has.
    #[error("invalid Node Allocatable configuration. {}", .0.join(" "))]
    NodeAllocatable(Vec<String>),
    /// When images are removed makes no sense.
    #[error("invalid image garbage collection policy")]
    ImageGc(#[from] crate::gc::InvalidPolicy),
    /// A directory of the agent cannot be made.
    #[error("{} cannot be made", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The address of the node cannot be used.
    #[error("the address of the node cannot be used")]
    NodeIp(#[from] crate::node::NodeIpError),
    /// A watch cannot be set up.
    #[error("a watch cannot be set up")]
    Informer(#[from] kubewright_informer::Error),
    /// A part of the agent has died, and nothing goes on without it.
    #[error("a part of the agent has died")]
    Died(#[source] tokio::task::JoinError),
    /// A server cannot be had.
    #[error("a server of the agent cannot be had")]
    Server(#[from] ServerError),
}
