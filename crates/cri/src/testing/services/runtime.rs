use tokio::time::{sleep, sleep_until};
use tonic::{Request, Response, Status, async_trait};

use crate::RuntimeService;
use crate::testing::events::Events;
use crate::testing::fake::seconds;
use crate::testing::state::{Container, State};
use crate::testing::views::{listed, sandbox_stats, stats};
use crate::testing::{FakeRuntime, filter};
use crate::v1;

#[async_trait]
impl RuntimeService for FakeRuntime {
    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        self.call("Version", "", |_, _| {
            Ok(Response::new(v1::VersionResponse {
                version: "0.1.0".to_owned(),
                runtime_name: "fake".to_owned(),
                runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
                runtime_api_version: "v1".to_owned(),
            }))
        })
        .await
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        self.call("Status", "", |state, _| {
            Ok(Response::new(v1::StatusResponse {
                status: Some(v1::RuntimeStatus {
                    conditions: state.conditions.values().cloned().collect(),
                }),
                ..v1::StatusResponse::default()
            }))
        })
        .await
    }

    async fn runtime_config(
        &self,
        _: Request<v1::RuntimeConfigRequest>,
    ) -> Result<Response<v1::RuntimeConfigResponse>, Status> {
        self.call("RuntimeConfig", "", |_, _| {
            Ok(Response::new(v1::RuntimeConfigResponse {
                linux: Some(v1::LinuxRuntimeConfiguration {
                    cgroup_driver: v1::CgroupDriver::Cgroupfs.into(),
                }),
            }))
        })
        .await
    }

    async fn update_runtime_config(
        &self,
        request: Request<v1::UpdateRuntimeConfigRequest>,
    ) -> Result<Response<v1::UpdateRuntimeConfigResponse>, Status> {
        let config = request.into_inner().runtime_config.unwrap_or_default();
        let pod_cidr = config.network_config.unwrap_or_default().pod_cidr;
        self.call("UpdateRuntimeConfig", &pod_cidr, |_, _| {
            Ok(Response::new(v1::UpdateRuntimeConfigResponse {}))
        })
        .await
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<v1::RunPodSandboxRequest>,
    ) -> Result<Response<v1::RunPodSandboxResponse>, Status> {
        let request = request.into_inner();
        let config = request.config.as_ref();
        let metadata = config.and_then(|config| config.metadata.as_ref());
        let pod = metadata.map_or_else(String::new, |metadata| metadata.name.clone());
        self.call("RunPodSandbox", &pod, |state, _| {
            let pod_sandbox_id = state.run_sandbox(request)?;
            Ok(Response::new(v1::RunPodSandboxResponse { pod_sandbox_id }))
        })
        .await
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<v1::StopPodSandboxRequest>,
    ) -> Result<Response<v1::StopPodSandboxResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        self.call("StopPodSandbox", &id, |state, now| {
            state.stop_sandbox(&id, now);
            Ok(Response::new(v1::StopPodSandboxResponse {}))
        })
        .await
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<v1::RemovePodSandboxRequest>,
    ) -> Result<Response<v1::RemovePodSandboxResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        self.call("RemovePodSandbox", &id, |state, now| {
            state.remove_sandbox(&id, now);
            Ok(Response::new(v1::RemovePodSandboxResponse {}))
        })
        .await
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<v1::PodSandboxStatusRequest>,
    ) -> Result<Response<v1::PodSandboxStatusResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        self.call("PodSandboxStatus", &id, |state, _| {
            let status = state.sandbox(&id)?.status.clone();
            let containers = state.containers.values();
            let statuses = containers
                .filter(|container| container.sandbox_id == id)
                .map(|container| container.status.clone());
            Ok(Response::new(v1::PodSandboxStatusResponse {
                status: Some(status),
                containers_statuses: statuses.collect(),
                timestamp: state.nanoseconds(),
                ..v1::PodSandboxStatusResponse::default()
            }))
        })
        .await
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<v1::ListPodSandboxRequest>,
    ) -> Result<Response<v1::ListPodSandboxResponse>, Status> {
        let wanted = request.into_inner().filter;
        self.call("ListPodSandbox", "", |state, _| {
            let sandboxes = state.sandboxes.values().map(|sandbox| &sandbox.status);
            let items = sandboxes
                .filter(|status| filter::sandbox(wanted.as_ref(), status))
                .map(|status| v1::PodSandbox {
                    id: status.id.clone(),
                    metadata: status.metadata.clone(),
                    state: status.state,
                    created_at: status.created_at,
                    labels: status.labels.clone(),
                    annotations: status.annotations.clone(),
                    runtime_handler: status.runtime_handler.clone(),
                });
            let items = items.collect();
            Ok(Response::new(v1::ListPodSandboxResponse { items }))
        })
        .await
    }

    async fn create_container(
        &self,
        request: Request<v1::CreateContainerRequest>,
    ) -> Result<Response<v1::CreateContainerResponse>, Status> {
        let request = request.into_inner();
        let pod = self.peek(|state| state.subject(&request.pod_sandbox_id));
        let config = request.config.as_ref();
        let metadata = config.and_then(|config| config.metadata.as_ref());
        let subject = format!("{pod}/{}", metadata.map_or("", |metadata| &metadata.name));
        self.call("CreateContainer", &subject, |state, _| {
            let container_id = state.create_container(request)?;
            Ok(Response::new(v1::CreateContainerResponse { container_id }))
        })
        .await
    }

    async fn start_container(
        &self,
        request: Request<v1::StartContainerRequest>,
    ) -> Result<Response<v1::StartContainerResponse>, Status> {
        let id = request.into_inner().container_id;
        self.call("StartContainer", &id, |state, now| {
            state.start_container(&id, now)?;
            Ok(Response::new(v1::StartContainerResponse {}))
        })
        .await
    }

    async fn stop_container(
        &self,
        request: Request<v1::StopContainerRequest>,
    ) -> Result<Response<v1::StopContainerResponse>, Status> {
        let request = request.into_inner();
        let (id, grace) = (request.container_id, request.timeout);
        let end = self
            .call_for("StopContainer", &id, grace, |state, now| {
                Ok(state.stop_container(&id, seconds(grace), now))
            })
            .await?;
        if let Some(end) = end {
            sleep_until(end).await;
            self.apply(|_| ());
            self.check_present()?;
        }
        Ok(Response::new(v1::StopContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<v1::RemoveContainerRequest>,
    ) -> Result<Response<v1::RemoveContainerResponse>, Status> {
        let id = request.into_inner().container_id;
        self.call("RemoveContainer", &id, |state, now| {
            state.remove_container(&id, now);
            Ok(Response::new(v1::RemoveContainerResponse {}))
        })
        .await
    }

    async fn list_containers(
        &self,
        request: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        let wanted = request.into_inner().filter;
        self.call("ListContainers", "", |state, _| {
            let containers = state.containers.values();
            let containers = containers
                .filter(|container| {
                    filter::container(wanted.as_ref(), &container.sandbox_id, &container.status)
                })
                .map(listed)
                .collect();
            Ok(Response::new(v1::ListContainersResponse { containers }))
        })
        .await
    }

    async fn container_status(
        &self,
        request: Request<v1::ContainerStatusRequest>,
    ) -> Result<Response<v1::ContainerStatusResponse>, Status> {
        let id = request.into_inner().container_id;
        self.call("ContainerStatus", &id, |state, _| {
            Ok(Response::new(v1::ContainerStatusResponse {
                status: Some(state.container(&id)?.status.clone()),
                ..v1::ContainerStatusResponse::default()
            }))
        })
        .await
    }

    async fn update_container_resources(
        &self,
        request: Request<v1::UpdateContainerResourcesRequest>,
    ) -> Result<Response<v1::UpdateContainerResourcesResponse>, Status> {
        let request = request.into_inner();
        let id = request.container_id;
        self.call("UpdateContainerResources", &id, |state, _| {
            let linux = request.linux;
            state.container_mut(&id)?.status.resources = Some(v1::ContainerResources { linux });
            Ok(Response::new(v1::UpdateContainerResourcesResponse {}))
        })
        .await
    }

    async fn reopen_container_log(
        &self,
        request: Request<v1::ReopenContainerLogRequest>,
    ) -> Result<Response<v1::ReopenContainerLogResponse>, Status> {
        let id = request.into_inner().container_id;
        self.call("ReopenContainerLog", &id, |state, _| {
            running(state, &id)?;
            Ok(Response::new(v1::ReopenContainerLogResponse {}))
        })
        .await
    }

    async fn exec_sync(
        &self,
        request: Request<v1::ExecSyncRequest>,
    ) -> Result<Response<v1::ExecSyncResponse>, Status> {
        let request = request.into_inner();
        let (id, limit) = (request.container_id, request.timeout);
        self.call_for("ExecSync", &id, limit, |state, _| {
            running(state, &id).map(drop)
        })
        .await?;
        let exec = self.exec(&id, &request.cmd);
        if limit > 0 && exec.takes > seconds(limit) {
            sleep(seconds(limit)).await;
            let late = format!("the command took longer than {limit} s");
            return Err(Status::deadline_exceeded(late));
        }
        sleep(exec.takes).await;
        self.check_present()?;
        Ok(Response::new(v1::ExecSyncResponse {
            stdout: exec.stdout,
            stderr: exec.stderr,
            exit_code: exec.exit_code,
        }))
    }

    async fn exec(
        &self,
        request: Request<v1::ExecRequest>,
    ) -> Result<Response<v1::ExecResponse>, Status> {
        self.without_streams("Exec", &request.into_inner().container_id)
            .await
    }

    async fn attach(
        &self,
        request: Request<v1::AttachRequest>,
    ) -> Result<Response<v1::AttachResponse>, Status> {
        self.without_streams("Attach", &request.into_inner().container_id)
            .await
    }

    async fn port_forward(
        &self,
        request: Request<v1::PortForwardRequest>,
    ) -> Result<Response<v1::PortForwardResponse>, Status> {
        self.without_streams("PortForward", &request.into_inner().pod_sandbox_id)
            .await
    }

    async fn container_stats(
        &self,
        request: Request<v1::ContainerStatsRequest>,
    ) -> Result<Response<v1::ContainerStatsResponse>, Status> {
        let id = request.into_inner().container_id;
        self.call("ContainerStats", &id, |state, _| {
            let stats = stats(running(state, &id)?);
            Ok(Response::new(v1::ContainerStatsResponse {
                stats: Some(stats),
            }))
        })
        .await
    }

    async fn list_container_stats(
        &self,
        request: Request<v1::ListContainerStatsRequest>,
    ) -> Result<Response<v1::ListContainerStatsResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        self.call("ListContainerStats", "", |state, _| {
            let containers = state.containers.values();
            let stats = containers
                .filter(|container| {
                    container.is_running()
                        && filter::id(&wanted.id, &container.status.id)
                        && filter::id(&wanted.pod_sandbox_id, &container.sandbox_id)
                        && filter::labels(&wanted.label_selector, &container.status.labels)
                })
                .map(stats)
                .collect();
            Ok(Response::new(v1::ListContainerStatsResponse { stats }))
        })
        .await
    }

    async fn pod_sandbox_stats(
        &self,
        request: Request<v1::PodSandboxStatsRequest>,
    ) -> Result<Response<v1::PodSandboxStatsResponse>, Status> {
        let id = request.into_inner().pod_sandbox_id;
        self.call("PodSandboxStats", &id, |state, _| {
            state.sandbox(&id)?;
            Ok(Response::new(v1::PodSandboxStatsResponse {
                stats: Some(sandbox_stats(state, &id)),
            }))
        })
        .await
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<v1::ListPodSandboxStatsRequest>,
    ) -> Result<Response<v1::ListPodSandboxStatsResponse>, Status> {
        let wanted = request.into_inner().filter.unwrap_or_default();
        self.call("ListPodSandboxStats", "", |state, _| {
            let sandboxes = state.sandboxes.iter();
            let stats = sandboxes
                .filter(|(id, sandbox)| {
                    sandbox.is_ready()
                        && filter::id(&wanted.id, id)
                        && filter::labels(&wanted.label_selector, &sandbox.status.labels)
                })
                .map(|(id, _)| sandbox_stats(state, id))
                .collect();
            Ok(Response::new(v1::ListPodSandboxStatsResponse { stats }))
        })
        .await
    }

    type GetContainerEventsStream = Events;

    async fn get_container_events(
        &self,
        _: Request<v1::GetEventsRequest>,
    ) -> Result<Response<Events>, Status> {
        self.call("GetContainerEvents", "", |_, _| Ok(())).await?;
        Ok(Response::new(self.listen().into_stream()))
    }
}

impl FakeRuntime {
    async fn without_streams<T>(&self, method: &'static str, id: &str) -> Result<T, Status> {
        let refusal = format!("a runtime in memory has no streams: {method}");
        self.call(method, id, |_, _| Err(Status::unimplemented(refusal)))
            .await
    }
}

fn running<'s>(state: &'s State, id: &str) -> Result<&'s Container, Status> {
    let container = state.container(id)?;
    if container.is_running() {
        Ok(container)
    } else {
        Err(Status::failed_precondition("the container does not run"))
    }
}
