use std::sync::atomic::{AtomicBool, Ordering};

use kubewright_cri::v1::{self, NamespaceMode, PodSandboxState};
use tokio::sync::RwLock;

use crate::record::SandboxRecord;

/// A sandbox as the runtime knows it: an address, and a name that containers share.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) record: SandboxRecord,
    is_ready: AtomicBool,
    /// Shared by what makes and starts containers, exclusive to what ends them all.
    pub(crate) operation: RwLock<()>,
}

impl Sandbox {
    pub(crate) fn new(record: SandboxRecord, is_ready: bool) -> Self {
        Self {
            record,
            is_ready: AtomicBool::new(is_ready),
            operation: RwLock::default(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.record.id
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// It is not ready any more; whether it was.
    pub(crate) fn end(&self) -> bool {
        self.is_ready.swap(false, Ordering::AcqRel)
    }

    fn state(&self) -> PodSandboxState {
        if self.is_ready() {
            PodSandboxState::SandboxReady
        } else {
            PodSandboxState::SandboxNotready
        }
    }

    pub(crate) fn metadata(&self) -> v1::PodSandboxMetadata {
        let record = &self.record;
        v1::PodSandboxMetadata {
            name: record.name.clone(),
            uid: record.uid.clone(),
            namespace: record.namespace.clone(),
            attempt: record.attempt,
        }
    }

    pub(crate) fn listed(&self) -> v1::PodSandbox {
        let record = &self.record;
        v1::PodSandbox {
            id: record.id.clone(),
            metadata: Some(self.metadata()),
            state: self.state().into(),
            created_at: record.created_at,
            labels: record.labels.clone(),
            annotations: record.annotations.clone(),
            runtime_handler: String::new(),
        }
    }

    pub(crate) fn status(&self) -> v1::PodSandboxStatus {
        let record = &self.record;
        let address = record.address.filter(|_| self.is_ready());
        let namespaces = &record.namespaces;
        v1::PodSandboxStatus {
            id: record.id.clone(),
            metadata: Some(self.metadata()),
            state: self.state().into(),
            created_at: record.created_at,
            network: Some(v1::PodSandboxNetworkStatus {
                ip: address.map_or_else(String::new, |address| address.to_string()),
                additional_ips: Vec::new(),
            }),
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace {
                    options: Some(v1::NamespaceOption {
                        network: namespaces.network,
                        pid: namespaces.pid,
                        ipc: namespaces.ipc,
                        ..v1::NamespaceOption::default()
                    }),
                }),
            }),
            labels: record.labels.clone(),
            annotations: record.annotations.clone(),
            runtime_handler: String::new(),
        }
    }
}

/// Whether a sandbox shares the network of the host.
pub(crate) fn is_host_network(config: &v1::PodSandboxConfig) -> bool {
    namespaces(config).is_some_and(|options| options.network() == NamespaceMode::Node)
}

pub(crate) fn namespaces(config: &v1::PodSandboxConfig) -> Option<&v1::NamespaceOption> {
    let linux = config.linux.as_ref()?;
    linux.security_context.as_ref()?.namespace_options.as_ref()
}
