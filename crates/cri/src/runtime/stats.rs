//! What containers and sandboxes use.

use super::Runtime;
use crate::Error;
use crate::v1;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// What a container uses.
    pub async fn container_stats(&self, id: &str) -> Result<v1::ContainerStats, Error> {
        let call = self.call("ContainerStats");
        let request = call.request(v1::ContainerStatsRequest {
            container_id: id.to_owned(),
        })?;
        let answer = call.answer(self.runtime().container_stats(request)).await?;
        call.promised(answer.stats, "stats")
    }

    /// What the running containers use that a filter lets through; without one, all of them.
    pub async fn list_container_stats(
        &self,
        filter: Option<v1::ContainerStatsFilter>,
    ) -> Result<Vec<v1::ContainerStats>, Error> {
        let call = self.call("ListContainerStats");
        let request = call.request(v1::ListContainerStatsRequest { filter })?;
        let answer = call
            .answer(self.runtime().list_container_stats(request))
            .await?;
        Ok(answer.stats)
    }

    /// What a sandbox uses with its containers.
    pub async fn pod_sandbox_stats(&self, id: &str) -> Result<v1::PodSandboxStats, Error> {
        let call = self.call("PodSandboxStats");
        let request = call.request(v1::PodSandboxStatsRequest {
            pod_sandbox_id: id.to_owned(),
        })?;
        let answer = call
            .answer(self.runtime().pod_sandbox_stats(request))
            .await?;
        call.promised(answer.stats, "stats")
    }

    /// What the sandboxes use that a filter lets through; without one, all of them.
    pub async fn list_pod_sandbox_stats(
        &self,
        filter: Option<v1::PodSandboxStatsFilter>,
    ) -> Result<Vec<v1::PodSandboxStats>, Error> {
        let call = self.call("ListPodSandboxStats");
        let request = call.request(v1::ListPodSandboxStatsRequest { filter })?;
        let answer = call
            .answer(self.runtime().list_pod_sandbox_stats(request))
            .await?;
        Ok(answer.stats)
    }
}
