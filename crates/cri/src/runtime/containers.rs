//! Containers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Runtime;
use crate::Error;
use crate::v1;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// Makes a container in a sandbox, without starting it, and answers its id.
    ///
    /// `sandbox` is what the sandbox was made from.
    pub async fn create_container(
        &self,
        sandbox_id: &str,
        config: v1::ContainerConfig,
        sandbox: v1::PodSandboxConfig,
    ) -> Result<String, Error> {
        let call = self.call("CreateContainer");
        let request = call.request(v1::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox),
        })?;
        let answer = call
            .answer(self.runtime().create_container(request))
            .await?;
        let id = Some(answer.container_id).filter(|id| !id.is_empty());
        call.promised(id, "container_id")
    }

    /// Starts a container that was made.
    pub async fn start_container(&self, id: &str) -> Result<(), Error> {
        let call = self.call("StartContainer");
        let request = call.request(v1::StartContainerRequest {
            container_id: id.to_owned(),
        })?;
        call.answer(self.runtime().start_container(request)).await?;
        Ok(())
    }

    /// Ends a container, by force once `grace` is over. May be repeated.
    ///
    /// CRI counts in seconds: parts of one count as a whole.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let call = self.call_of("StopContainer", grace);
        let request = call.request(v1::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: whole_seconds(grace),
        })?;
        call.answer(self.runtime().stop_container(request)).await?;
        Ok(())
    }

    /// Removes a container, by force if it runs. May be repeated.
    pub async fn remove_container(&self, id: &str) -> Result<(), Error> {
        let call = self.call("RemoveContainer");
        let request = call.request(v1::RemoveContainerRequest {
            container_id: id.to_owned(),
        })?;
        call.answer(self.runtime().remove_container(request))
            .await?;
        Ok(())
    }

    /// The containers that a filter lets through; without one, all of them.
    pub async fn list_containers(
        &self,
        filter: Option<v1::ContainerFilter>,
    ) -> Result<Vec<v1::Container>, Error> {
        let call = self.call("ListContainers");
        let request = call.request(v1::ListContainersRequest { filter })?;
        let answer = call.answer(self.runtime().list_containers(request)).await?;
        Ok(answer.containers)
    }

    /// All that is known of a container.
    pub async fn container_status(&self, id: &str) -> Result<v1::ContainerStatus, Error> {
        let call = self.call("ContainerStatus");
        let request = call.request(v1::ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: false,
        })?;
        let answer = call
            .answer(self.runtime().container_status(request))
            .await?;
        call.promised(answer.status, "status")
    }

    /// What the runtime tells of a container beyond its status, for people who look for errors.
    ///
    /// CRI leaves it to the runtime what that is, and under which keys. containerd, CRI-O and others
    /// have a JSON document under `info`, with the process id of the container as its `pid`.
    pub async fn container_info(&self, id: &str) -> Result<BTreeMap<String, String>, Error> {
        let call = self.call("ContainerStatus");
        let request = call.request(v1::ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: true,
        })?;
        let answer = call
            .answer(self.runtime().container_status(request))
            .await?;
        Ok(answer.info)
    }

    /// Changes the limits of a container while it runs.
    pub async fn update_container_resources(
        &self,
        id: &str,
        resources: v1::LinuxContainerResources,
    ) -> Result<(), Error> {
        let call = self.call("UpdateContainerResources");
        let request = call.request(v1::UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(resources),
            ..v1::UpdateContainerResourcesRequest::default()
        })?;
        call.answer(self.runtime().update_container_resources(request))
            .await?;
        Ok(())
    }

    /// Has the log file of a container opened anew, after it was renamed away.
    pub async fn reopen_container_log(&self, id: &str) -> Result<(), Error> {
        let call = self.call("ReopenContainerLog");
        let request = call.request(v1::ReopenContainerLogRequest {
            container_id: id.to_owned(),
        })?;
        call.answer(self.runtime().reopen_container_log(request))
            .await?;
        Ok(())
    }
}

pub(super) fn whole_seconds(time: Duration) -> i64 {
    let part = u64::from(time.subsec_nanos() > 0);
    let seconds = time.as_secs().saturating_add(part);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
