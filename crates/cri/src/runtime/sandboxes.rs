//! Sandboxes.

use super::Runtime;
use crate::Error;
use crate::v1;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// Makes a sandbox, which is then ready, and answers its id.
    ///
    /// `handler` is that of the pod's runtime class; empty for the default.
    pub async fn run_pod_sandbox(
        &self,
        config: v1::PodSandboxConfig,
        handler: &str,
    ) -> Result<String, Error> {
        let call = self.call("RunPodSandbox");
        let request = call.request(v1::RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: handler.to_owned(),
        })?;
        let answer = call.answer(self.runtime().run_pod_sandbox(request)).await?;
        let id = Some(answer.pod_sandbox_id).filter(|id| !id.is_empty());
        call.promised(id, "pod_sandbox_id")
    }

    /// Ends all that runs in a sandbox and gives back its network. May be repeated.
    pub async fn stop_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        let call = self.call("StopPodSandbox");
        let request = call.request(v1::StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        })?;
        call.answer(self.runtime().stop_pod_sandbox(request))
            .await?;
        Ok(())
    }

    /// Removes a sandbox and its containers. May be repeated.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        let call = self.call("RemovePodSandbox");
        let request = call.request(v1::RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        })?;
        call.answer(self.runtime().remove_pod_sandbox(request))
            .await?;
        Ok(())
    }

    /// All that is known of a sandbox.
    ///
    /// Runtimes that send events answer with the statuses of its containers too.
    pub async fn pod_sandbox_status(
        &self,
        id: &str,
    ) -> Result<v1::PodSandboxStatusResponse, Error> {
        let call = self.call("PodSandboxStatus");
        let request = call.request(v1::PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: false,
        })?;
        call.answer(self.runtime().pod_sandbox_status(request))
            .await
    }

    /// The sandboxes that a filter lets through; without one, all of them.
    pub async fn list_pod_sandbox(
        &self,
        filter: Option<v1::PodSandboxFilter>,
    ) -> Result<Vec<v1::PodSandbox>, Error> {
        let call = self.call("ListPodSandbox");
        let request = call.request(v1::ListPodSandboxRequest { filter })?;
        let answer = call
            .answer(self.runtime().list_pod_sandbox(request))
            .await?;
        Ok(answer.items)
    }
}
