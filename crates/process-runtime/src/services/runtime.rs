use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::v1;
use kubewright_cri::{Request, Response, RuntimeService, Status, async_trait};
use kubewright_streaming::{AttachRequest, ExecRequest, PortForwardRequest, StreamOptions};
use serde_json::json;

use super::events::{self, Events};
use super::filter;
use crate::ProcessRuntime;
use crate::core::Core;
use crate::process::ProcessTable;
use crate::shim::wire;

/// The name says what is most important to know.
const NAME: &str = "process-without-isolation";

const WARNING: &str = "containers are processes of this host, without any isolation: \
                       for development and tests only";

#[async_trait]
impl RuntimeService for ProcessRuntime {
    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: NAME.to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let condition = |kind: &str, status, reason: &str, message: &str| v1::RuntimeCondition {
            r#type: kind.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let conditions = vec![
            condition("RuntimeReady", true, "", ""),
            condition("NetworkReady", true, "", ""),
            condition("Isolated", false, "ProcessesOfTheHost", WARNING),
        ];
        let root_dir = self.root_dir().display().to_string();
        Ok(Response::new(v1::StatusResponse {
            status: Some(v1::RuntimeStatus { conditions }),
            info: [
                ("isolation".to_owned(), "none".to_owned()),
                ("rootDir".to_owned(), root_dir),
            ]
            .into(),
            ..v1::StatusResponse::default()
        }))
    }

    async fn runtime_config(
        &self,
        _: Request<v1::RuntimeConfigRequest>,
    ) -> Result<Response<v1::RuntimeConfigResponse>, Status> {
        Ok(Response::new(v1::RuntimeConfigResponse {
            linux: Some(v1::LinuxRuntimeConfiguration {
                cgroup_driver: v1::CgroupDriver::Cgroupfs.into(),
            }),
        }))
    }

    /// The range of pod addresses is not the agent's to say: they have to be loopback ones.
    async fn update_runtime_config(
        &self,
        request: Request<v1::UpdateRuntimeConfigRequest>,
    ) -> Result<Response<v1::UpdateRuntimeConfigResponse>, Status> {
        let config = request.into_inner().runtime_config.unwrap_or_default();
        let pod_cidr = config.network_config.unwrap_or_default().pod_cidr;
        tracing::info!(pod_cidr, "the range of pod addresses is not followed");
        Ok(Response::new(v1::UpdateRuntimeConfigResponse {}))
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<v1::RunPodSandboxRequest>,
    ) -> Result<Response<v1::RunPodSandboxResponse>, Status> {
        let core = Arc::clone(&self.core);
        let run = core.run_sandbox(request.into_inner());
        let pod_sandbox_id = self.core.finish(run).await?;
        Ok(Response::new(v1::RunPodSandboxResponse { pod_sandbox_id }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<v1::StopPodSandboxRequest>,
    ) -> Result<Response<v1::StopPodSandboxResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        if let Some(sandbox) = self.core.find_sandbox(&id) {
            let core = Arc::clone(&self.core);
            let stop = async move { core.stop_sandbox(&sandbox).await };
            self.core.finish(stop).await?;
        }
        Ok(Response::new(v1::StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<v1::RemovePodSandboxRequest>,
    ) -> Result<Response<v1::RemovePodSandboxResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        if let Some(sandbox) = self.core.find_sandbox(&id) {
            let core = Arc::clone(&self.core);
            let remove = async move { core.remove_sandbox(&sandbox).await };
            self.core.finish(remove).await?;
        }
        Ok(Response::new(v1::RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<v1::PodSandboxStatusRequest>,
    ) -> Result<Response<v1::PodSandboxStatusResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        // The time before the look: what happens meanwhile is newer.
        let timestamp = self.core.now();
        let status = self.core.sandbox(&id)?.status();
        Ok(Response::new(v1::PodSandboxStatusResponse {
            status: Some(status),
            containers_statuses: self.core.statuses_in(&id),
            timestamp,
            ..v1::PodSandboxStatusResponse::default()
        }))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<v1::ListPodSandboxRequest>,
    ) -> Result<Response<v1::ListPodSandboxResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        let sandboxes = self.core.sandboxes();
        let items = sandboxes
            .iter()
            .filter(|sandbox| filter::sandbox(&wanted, sandbox))
            .map(|sandbox| sandbox.listed());
        let items = items.collect();
        Ok(Response::new(v1::ListPodSandboxResponse { items }))
    }

    async fn create_container(
        &self,
        request: Request<v1::CreateContainerRequest>,
    ) -> Result<Response<v1::CreateContainerResponse>, Status> {
        let core = Arc::clone(&self.core);
        let create = core.create_container(request.into_inner());
        let container_id = self.core.finish(create).await?;
        Ok(Response::new(v1::CreateContainerResponse { container_id }))
    }

    async fn start_container(
        &self,
        request: Request<v1::StartContainerRequest>,
    ) -> Result<Response<v1::StartContainerResponse>, Status> {
        let core = Arc::clone(&self.core);
        let start = core.start_container(request.into_inner().container_id);
        self.core.finish(start).await?;
        Ok(Response::new(v1::StartContainerResponse {}))
    }

    async fn stop_container(
        &self,
        request: Request<v1::StopContainerRequest>,
    ) -> Result<Response<v1::StopContainerResponse>, Status> {
        let request = request.into_inner();
        if let Some(container) = self.core.find_container(&request.container_id) {
            let grace = seconds(request.timeout);
            self.core.attempt(self.core.stop(&container, grace)).await?;
        }
        Ok(Response::new(v1::StopContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<v1::RemoveContainerRequest>,
    ) -> Result<Response<v1::RemoveContainerResponse>, Status> {
        let id = request.into_inner().container_id;
        if let Some(container) = self.core.find_container(&id) {
            let core = Arc::clone(&self.core);
            let remove = async move { core.remove(&container).await };
            self.core.finish(remove).await?;
        }
        Ok(Response::new(v1::RemoveContainerResponse {}))
    }

    async fn list_containers(
        &self,
        request: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        let containers = self.core.containers();
        let containers = containers
            .iter()
            .filter(|container| filter::container(&wanted, container))
            .map(|container| container.listed());
        let containers = containers.collect();
        Ok(Response::new(v1::ListContainersResponse { containers }))
    }

    async fn container_status(
        &self,
        request: Request<v1::ContainerStatusRequest>,
    ) -> Result<Response<v1::ContainerStatusResponse>, Status> {
        let request = request.into_inner();
        let container = self.core.container(&request.container_id)?;
        let mut info = BTreeMap::new();
        if request.verbose
            && let Some(started) = container.started()
        {
            // Where other runtimes have it, and people and programs look for it.
            let document = json!({"pid": started.pid, "shimPid": started.shim});
            info.insert("info".to_owned(), document.to_string());
        }
        Ok(Response::new(v1::ContainerStatusResponse {
            status: Some(self.core.status_of(&container)),
            info,
        }))
    }

    async fn update_container_resources(
        &self,
        _: Request<v1::UpdateContainerResourcesRequest>,
    ) -> Result<Response<v1::UpdateContainerResourcesResponse>, Status> {
        Err(Status::unimplemented(
            "the process runtime enforces no limits, and so changes none: UpdateContainerResources",
        ))
    }

    async fn reopen_container_log(
        &self,
        request: Request<v1::ReopenContainerLogRequest>,
    ) -> Result<Response<v1::ReopenContainerLogResponse>, Status> {
        let (container, _) = self.core.running(&request.into_inner().container_id)?;
        container
            .shim()
            .call(&wire::Request::ReopenLog)
            .await
            .map_err(|error| Status::unknown(format!("failed to reopen the log: {error}")))?;
        Ok(Response::new(v1::ReopenContainerLogResponse {}))
    }

    async fn exec_sync(
        &self,
        request: Request<v1::ExecSyncRequest>,
    ) -> Result<Response<v1::ExecSyncResponse>, Status> {
        let request = request.into_inner();
        let limit = seconds(request.timeout);
        let limit = (!limit.is_zero()).then_some(limit);
        let id = &request.container_id;
        let exec = self.core.exec_sync(id, request.cmd, limit);
        let answer = self.core.attempt(exec).await?;
        Ok(Response::new(answer))
    }

    async fn exec(
        &self,
        request: Request<v1::ExecRequest>,
    ) -> Result<Response<v1::ExecResponse>, Status> {
        let request = request.into_inner();
        self.core.running(&request.container_id)?;
        let url = self.streaming.exec_url(ExecRequest {
            container_id: request.container_id,
            command: request.cmd,
            streams: StreamOptions {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                tty: request.tty,
            },
        });
        let url = url.map_err(no_url)?;
        Ok(Response::new(v1::ExecResponse { url }))
    }

    async fn attach(
        &self,
        request: Request<v1::AttachRequest>,
    ) -> Result<Response<v1::AttachResponse>, Status> {
        let request = request.into_inner();
        self.core.running(&request.container_id)?;
        let url = self.streaming.attach_url(AttachRequest {
            container_id: request.container_id,
            streams: StreamOptions {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                tty: request.tty,
            },
        });
        let url = url.map_err(no_url)?;
        Ok(Response::new(v1::AttachResponse { url }))
    }

    async fn port_forward(
        &self,
        request: Request<v1::PortForwardRequest>,
    ) -> Result<Response<v1::PortForwardResponse>, Status> {
        let request = request.into_inner();
        let sandbox = self.core.sandbox(&request.pod_sandbox_id)?;
        if !sandbox.is_ready() {
            return Err(Status::failed_precondition("the sandbox is not ready"));
        }
        let port = |port: &i32| {
            u16::try_from(*port).map_err(|_| Status::invalid_argument(format!("{port} is no port")))
        };
        let ports = request.port.iter().map(port).collect::<Result<_, _>>()?;
        let url = self.streaming.port_forward_url(PortForwardRequest {
            sandbox_id: request.pod_sandbox_id,
            ports,
        });
        let url = url.map_err(no_url)?;
        Ok(Response::new(v1::PortForwardResponse { url }))
    }

    async fn container_stats(
        &self,
        request: Request<v1::ContainerStatsRequest>,
    ) -> Result<Response<v1::ContainerStatsResponse>, Status> {
        let container = self.core.container(&request.into_inner().container_id)?;
        let stats = self
            .look(move |core, table| core.stats_of(&container, table))
            .await?;
        Ok(Response::new(v1::ContainerStatsResponse {
            stats: Some(stats),
        }))
    }

    async fn list_container_stats(
        &self,
        request: Request<v1::ListContainerStatsRequest>,
    ) -> Result<Response<v1::ListContainerStatsResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        let stats = self
            .look(move |core, table| {
                let containers = core.containers();
                let containers = containers.iter();
                containers
                    .filter(|container| filter::running_container(&wanted, container))
                    .map(|container| core.stats_of(container, table))
                    .collect()
            })
            .await?;
        Ok(Response::new(v1::ListContainerStatsResponse { stats }))
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<v1::PodSandboxStatsRequest>,
    ) -> Result<Response<v1::PodSandboxStatsResponse>, Status> {
        let sandbox = self.core.sandbox(&request.into_inner().pod_sandbox_id)?;
        let stats = self
            .look(move |core, table| core.sandbox_stats(&sandbox, table))
            .await?;
        Ok(Response::new(v1::PodSandboxStatsResponse {
            stats: Some(stats),
        }))
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<v1::ListPodSandboxStatsRequest>,
    ) -> Result<Response<v1::ListPodSandboxStatsResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        let stats = self
            .look(move |core, table| {
                let sandboxes = core.sandboxes();
                let sandboxes = sandboxes.iter();
                sandboxes
                    .filter(|sandbox| filter::ready_sandbox(&wanted, sandbox))
                    .map(|sandbox| core.sandbox_stats(sandbox, table))
                    .collect()
            })
            .await?;
        Ok(Response::new(v1::ListPodSandboxStatsResponse { stats }))
    }

    type GetContainerEventsStream = Events;

    async fn get_container_events(
        &self,
        _: Request<v1::GetEventsRequest>,
    ) -> Result<Response<Events>, Status> {
        Ok(Response::new(events::stream(self.core.events.subscribe())))
    }
}

impl ProcessRuntime {
    /// Looks at all processes once, where blocking does no harm.
    async fn look<T: Send + 'static>(
        &self,
        at: impl FnOnce(&Core, &ProcessTable) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let core = Arc::clone(&self.core);
        tokio::task::spawn_blocking(move || at(&core, &ProcessTable::read()))
            .await
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// The grace of a call, in which CRI counts seconds and may count below zero.
fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

fn no_url(error: kubewright_streaming::Error) -> Status {
    match error {
        kubewright_streaming::Error::InvalidRequest(error) => {
            Status::invalid_argument(error.to_string())
        }
        error => Status::resource_exhausted(error.to_string()),
    }
}
