//! Making, ending and removing sandboxes.

use std::sync::Arc;

use futures::future::join_all;
use kubewright_cri::Status;
use kubewright_cri::v1::{self, ContainerEventType};

use super::{Core, blocking, on_disk};
use crate::policy;
use crate::record::{NamespacesRecord, SandboxRecord};
use crate::sandbox::{Sandbox, is_host_network, namespaces};

impl Core {
    pub(crate) fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.state.lock().sandboxes.values().cloned().collect()
    }

    pub(crate) fn find_sandbox(&self, id: &str) -> Option<Arc<Sandbox>> {
        self.state.lock().sandboxes.get(id).cloned()
    }

    pub(crate) fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>, Status> {
        self.find_sandbox(id)
            .ok_or_else(|| Status::not_found(format!("no sandbox {id:?}")))
    }

    /// Makes a sandbox, which is ready.
    pub(crate) async fn run_sandbox(
        self: Arc<Self>,
        request: v1::RunPodSandboxRequest,
    ) -> Result<String, Status> {
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("no sandbox config"))?;
        let metadata = config
            .metadata
            .clone()
            .ok_or_else(|| Status::invalid_argument("the sandbox has no metadata"))?;
        policy::check_sandbox(&config, &request.runtime_handler, self.identity)
            .map_err(Status::invalid_argument)?;
        let record = self.reserve_sandbox(config, metadata)?;
        let core = Arc::clone(&self);
        let written = record.clone();
        let made = blocking(move || core.store.create_sandbox(&written)).await;
        if let Err(error) = made {
            self.forget_sandbox(&record);
            return Err(on_disk("create sandbox")(error));
        }
        let id = record.id.clone();
        let sandbox = Arc::new(Sandbox::new(record, true));
        self.state.lock().sandboxes.insert(id.clone(), sandbox);
        self.tell(ContainerEventType::ContainerCreatedEvent, &id, &id);
        self.tell(ContainerEventType::ContainerStartedEvent, &id, &id);
        Ok(id)
    }

    /// Ends all that runs in a sandbox and gives back its address.
    pub(crate) async fn stop_sandbox(self: &Arc<Self>, sandbox: &Sandbox) -> Result<(), Status> {
        let _operation = sandbox.operation.write().await;
        let containers = self.containers_in(sandbox.id());
        let kills = containers.iter().map(|container| self.kill(container));
        for killed in join_all(kills).await {
            killed?;
        }
        if sandbox.is_ready() {
            let id = sandbox.id();
            self.store
                .end_sandbox(id)
                .map_err(on_disk("stop sandbox"))?;
            sandbox.end();
            if let Some(address) = sandbox.record.address {
                self.state.lock().addresses.give_back(address);
            }
            self.tell(ContainerEventType::ContainerStoppedEvent, id, id);
        }
        Ok(())
    }

    /// Removes a sandbox with its containers, by force.
    pub(crate) async fn remove_sandbox(self: &Arc<Self>, sandbox: &Sandbox) -> Result<(), Status> {
        self.stop_sandbox(sandbox).await?;
        let _operation = sandbox.operation.write().await;
        for container in self.containers_in(sandbox.id()) {
            self.remove(&container).await?;
        }
        if self.find_sandbox(sandbox.id()).is_none() {
            return Ok(());
        }
        let core = Arc::clone(self);
        let id = sandbox.id().to_owned();
        blocking(move || core.store.remove_sandbox(&id))
            .await
            .map_err(on_disk("remove sandbox"))?;
        let id = sandbox.id();
        self.tell(ContainerEventType::ContainerDeletedEvent, id, id);
        let mut state = self.state.lock();
        state.names.remove(&name(&sandbox.record));
        state.sandboxes.remove(id);
        Ok(())
    }

    /// Takes in a sandbox of an earlier run.
    pub(super) fn adopt_sandbox(&self, record: SandboxRecord) {
        let mut state = self.state.lock();
        let mut is_ready = record.boot == self.boot && self.store.is_ready(&record.id);
        if let Some(address) = record.address.filter(|_| is_ready) {
            is_ready = state.addresses.retake(address);
        }
        if !is_ready && let Err(error) = self.store.end_sandbox(&record.id) {
            tracing::warn!(sandbox = record.id, %error, "cannot note that a sandbox has ended");
        }
        state.names.insert(name(&record), record.id.clone());
        let id = record.id.clone();
        let sandbox = Arc::new(Sandbox::new(record, is_ready));
        state.sandboxes.insert(id, sandbox);
    }

    /// The record of a new sandbox, with a name and an address for itself alone.
    fn reserve_sandbox(
        &self,
        config: v1::PodSandboxConfig,
        metadata: v1::PodSandboxMetadata,
    ) -> Result<SandboxRecord, Status> {
        let options = namespaces(&config).cloned().unwrap_or_default();
        let is_host_network = is_host_network(&config);
        let mut record = SandboxRecord {
            id: String::new(),
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            attempt: metadata.attempt,
            resolver: config.dns_config.as_ref().map(resolver),
            hostname: config.hostname,
            log_directory: config.log_directory.into(),
            labels: config.labels,
            annotations: config.annotations,
            namespaces: NamespacesRecord {
                network: options.network,
                pid: options.pid,
                ipc: options.ipc,
            },
            address: None,
            created_at: self.now(),
            boot: self.boot.clone(),
        };
        let mut state = self.state.lock();
        record.id = state.reserve("sandbox", name(&record))?;
        if !is_host_network {
            record.address = state.addresses.take();
            if record.address.is_none() {
                state.names.remove(&name(&record));
                return Err(Status::resource_exhausted(
                    "no address is left for the sandbox",
                ));
            }
        }
        Ok(record)
    }

    fn forget_sandbox(&self, record: &SandboxRecord) {
        let mut state = self.state.lock();
        state.names.remove(&name(record));
        if let Some(address) = record.address {
            state.addresses.give_back(address);
        }
    }
}

fn name(record: &SandboxRecord) -> String {
    let SandboxRecord {
        name,
        namespace,
        uid,
        attempt,
        ..
    } = record;
    format!("{name}_{namespace}_{uid}_{attempt}")
}

/// What a resolver's file says.
fn resolver(dns: &v1::DnsConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    text
}
