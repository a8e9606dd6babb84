use tokio::time::Instant;
use tonic::Status;

use super::{KILLED, Sandbox, State, absent, is_host_network};
use crate::v1::{self, ContainerEventType, PodSandboxState};

impl State {
    pub(in crate::testing) fn run_sandbox(
        &mut self,
        request: v1::RunPodSandboxRequest,
    ) -> Result<String, Status> {
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("no sandbox config"))?;
        if config.metadata.is_none() {
            return Err(Status::invalid_argument("the sandbox has no metadata"));
        }
        if is_host_network(&config) && !config.hostname.is_empty() {
            return Err(Status::invalid_argument(
                "a sandbox in the host's network has no hostname of its own",
            ));
        }
        let mut taken = self.sandboxes.values();
        if taken.any(|sandbox| sandbox.config.metadata == config.metadata) {
            return Err(Status::already_exists("the name of the sandbox is taken"));
        }
        let id = self.new_id();
        let address = self.next_address(&config);
        let linux = config.linux.as_ref();
        let security = linux.and_then(|linux| linux.security_context.as_ref());
        let status = v1::PodSandboxStatus {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: PodSandboxState::SandboxReady.into(),
            created_at: self.nanoseconds(),
            network: Some(v1::PodSandboxNetworkStatus {
                ip: address,
                additional_ips: Vec::new(),
            }),
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace {
                    options: security.and_then(|security| security.namespace_options.clone()),
                }),
            }),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            runtime_handler: request.runtime_handler,
        };
        self.sandboxes
            .insert(id.clone(), Sandbox { config, status });
        self.tell(ContainerEventType::ContainerCreatedEvent, &id, &id);
        self.tell(ContainerEventType::ContainerStartedEvent, &id, &id);
        Ok(id)
    }

    pub(in crate::testing) fn stop_sandbox(&mut self, id: &str, now: Instant) {
        for container in self.containers_of(id) {
            self.kill(&container, KILLED, now);
        }
        let Some(sandbox) = self.sandboxes.get_mut(id) else {
            return;
        };
        if sandbox.is_ready() {
            sandbox.status.state = PodSandboxState::SandboxNotready.into();
            sandbox.status.network = None;
            self.tell(ContainerEventType::ContainerStoppedEvent, id, id);
        }
    }

    pub(in crate::testing) fn remove_sandbox(&mut self, id: &str, now: Instant) {
        self.stop_sandbox(id, now);
        for container in self.containers_of(id) {
            self.remove_container(&container, now);
        }
        if self.sandboxes.contains_key(id) {
            self.tell(ContainerEventType::ContainerDeletedEvent, id, id);
            self.sandboxes.remove(id);
        }
    }

    pub(in crate::testing) fn sandbox(&self, id: &str) -> Result<&Sandbox, Status> {
        self.sandboxes.get(id).ok_or_else(|| absent("sandbox", id))
    }

    fn containers_of(&self, id: &str) -> Vec<String> {
        self.containers
            .values()
            .filter(|container| container.sandbox_id == id)
            .map(|container| container.status.id.clone())
            .collect()
    }

    fn next_address(&mut self, config: &v1::PodSandboxConfig) -> String {
        if is_host_network(config) {
            return String::new();
        }
        self.addresses += 1;
        let [_, a, b, c] = self.addresses.to_be_bytes();
        format!("10.{}.{b}.{c}", 88 + a)
    }
}
