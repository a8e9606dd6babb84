use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use super::{Container, KILLED, State, absent, later};
use crate::v1::{self, ContainerEventType, ContainerState};

impl State {
    pub(in crate::testing) fn create_container(
        &mut self,
        request: v1::CreateContainerRequest,
    ) -> Result<String, Status> {
        let sandbox = self.sandbox(&request.pod_sandbox_id)?;
        if !sandbox.is_ready() {
            return Err(Status::failed_precondition("the sandbox is not ready"));
        }
        let logs = sandbox.config.log_directory.clone();
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("no container config"))?;
        let made_from = config.clone();
        let metadata = config
            .metadata
            .ok_or_else(|| Status::invalid_argument("the container has no metadata"))?;
        let taken = self.containers.values().any(|container| {
            container.sandbox_id == request.pod_sandbox_id
                && container.status.metadata.as_ref() == Some(&metadata)
        });
        if taken {
            return Err(Status::already_exists("the name of the container is taken"));
        }
        let spec = config.image.unwrap_or_default();
        let image = self
            .image(&spec.image)
            .ok_or_else(|| absent("image", &spec.image))?
            .clone();
        let resources = config.linux.and_then(|linux| linux.resources);
        let id = self.new_id();
        let behaviour = self.behaviours.get(&metadata.name).cloned();
        let status = v1::ContainerStatus {
            id: id.clone(),
            metadata: Some(metadata),
            state: ContainerState::ContainerCreated.into(),
            created_at: self.nanoseconds(),
            image: Some(spec),
            image_ref: image.repo_digests.first().unwrap_or(&image.id).clone(),
            image_id: image.id,
            labels: config.labels,
            annotations: config.annotations,
            mounts: config.mounts,
            log_path: format!("{}/{}", logs.trim_end_matches('/'), config.log_path),
            resources: resources.map(|linux| v1::ContainerResources { linux: Some(linux) }),
            ..v1::ContainerStatus::default()
        };
        let container = Container {
            sandbox_id: request.pod_sandbox_id.clone(),
            behaviour: behaviour.unwrap_or_default(),
            config: made_from,
            status,
            end: None,
        };
        self.containers.insert(id.clone(), container);
        self.tell(
            ContainerEventType::ContainerCreatedEvent,
            &id,
            &request.pod_sandbox_id,
        );
        Ok(id)
    }

    pub(in crate::testing) fn start_container(
        &mut self,
        id: &str,
        now: Instant,
    ) -> Result<(), Status> {
        let nanoseconds = self.nanoseconds();
        let container = self.container(id)?;
        if container.status.state() != ContainerState::ContainerCreated {
            let state = container.status.state().as_str_name();
            return Err(Status::failed_precondition(format!(
                "the container is {state}"
            )));
        }
        if !self.sandbox(&container.sandbox_id)?.is_ready() {
            return Err(Status::failed_precondition("the sandbox is not ready"));
        }
        let container = self.container_mut(id)?;
        container.status.state = ContainerState::ContainerRunning.into();
        container.status.started_at = nanoseconds;
        let exits = container.behaviour.exits;
        container.end = exits.map(|(after, code)| (later(now, after), code));
        let sandbox_id = container.sandbox_id.clone();
        self.tell(ContainerEventType::ContainerStartedEvent, id, &sandbox_id);
        self.settle(now);
        Ok(())
    }

    /// Asks a container to stop, and says when it will have.
    pub(in crate::testing) fn stop_container(
        &mut self,
        id: &str,
        grace: Duration,
        now: Instant,
    ) -> Option<Instant> {
        let container = self.containers.get_mut(id)?;
        if !container.is_running() {
            return None;
        }
        let stopped = container.stopped(now, grace);
        // Of its own end and that by request, the earlier one comes to pass.
        let end = container.end.map_or(stopped, |end| end.min(stopped));
        container.end = Some(end);
        self.settle(now);
        Some(end.0)
    }

    pub(in crate::testing) fn kill(&mut self, id: &str, code: i32, now: Instant) {
        if let Some(container) = self.containers.get_mut(id)
            && container.is_running()
        {
            container.end = Some((now, code));
            self.settle(now);
        }
    }

    pub(in crate::testing) fn remove_container(&mut self, id: &str, now: Instant) {
        self.kill(id, KILLED, now);
        if let Some(container) = self.containers.remove(id) {
            self.tell(
                ContainerEventType::ContainerDeletedEvent,
                id,
                &container.sandbox_id,
            );
        }
    }

    pub(in crate::testing) fn container(&self, id: &str) -> Result<&Container, Status> {
        self.containers
            .get(id)
            .ok_or_else(|| absent("container", id))
    }

    pub(in crate::testing) fn container_mut(&mut self, id: &str) -> Result<&mut Container, Status> {
        self.containers
            .get_mut(id)
            .ok_or_else(|| absent("container", id))
    }

    /// A container ended some time ago.
    pub(super) fn end(&mut self, id: &str, code: i32, ago: Duration) {
        let finished_at = self.nanoseconds_ago(ago);
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let reason = if code == 0 { "Completed" } else { "Error" };
        container.end = None;
        container.status.state = ContainerState::ContainerExited.into();
        container.status.finished_at = finished_at;
        container.status.exit_code = code;
        reason.clone_into(&mut container.status.reason);
        let sandbox_id = container.sandbox_id.clone();
        self.tell(ContainerEventType::ContainerStoppedEvent, id, &sandbox_id);
    }
}
