use k8s_openapi::api::core::v1::PodSpec;

use super::SecurityError;

/// With whom a namespace of the kernel is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceMode {
    /// With all containers of the pod.
    Pod,
    /// With nobody.
    Container,
    /// With the node.
    Node,
    /// With this container of the pod, by what the runtime calls it.
    Target(String),
}

/// Which namespaces a sandbox or a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// That of the network.
    pub network: NamespaceMode,
    /// That of processes.
    pub pid: NamespaceMode,
    /// That of System V IPC and POSIX message queues.
    pub ipc: NamespaceMode,
}

impl Namespaces {
    /// The namespaces of a pod's sandbox and containers.
    ///
    /// Answers to kubelet's `NamespacesForPod`.
    ///
    /// # Errors
    ///
    /// If the pod asks for users of its own.
    pub fn of(spec: &PodSpec) -> Result<Self, SecurityError> {
        if spec.host_users == Some(false) {
            return Err(SecurityError::Unsupported("hostUsers: false"));
        }
        let node_or_pod = |is_node: Option<bool>| match is_node {
            Some(true) => NamespaceMode::Node,
            _ => NamespaceMode::Pod,
        };
        Ok(Self {
            network: node_or_pod(spec.host_network),
            ipc: node_or_pod(spec.host_ipc),
            pid: match (spec.host_pid, spec.share_process_namespace) {
                (Some(true), _) => NamespaceMode::Node,
                (_, Some(true)) => NamespaceMode::Pod,
                _ => NamespaceMode::Container,
            },
        })
    }

    /// The same, but with the processes of another container of the pod in sight: what an ephemeral
    /// container with a target gets.
    #[must_use]
    pub fn with_target(self, container_id: impl Into<String>) -> Self {
        Self {
            pid: NamespaceMode::Target(container_id.into()),
            ..self
        }
    }
}
