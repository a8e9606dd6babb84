//! The runtime itself.

use super::Runtime;
use crate::Error;
use crate::v1;

/// The version of kubelet's side of CRI, which has never been another.
const AGENT_VERSION: &str = "0.1.0";

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// Who the runtime is.
    pub async fn version(&self) -> Result<v1::VersionResponse, Error> {
        let call = self.call("Version");
        let version = AGENT_VERSION.to_owned();
        let request = call.request(v1::VersionRequest { version })?;
        call.answer(self.runtime().version(request)).await
    }

    /// Whether the runtime and its network are ready.
    pub async fn status(&self) -> Result<v1::StatusResponse, Error> {
        let call = self.call("Status");
        let request = call.request(v1::StatusRequest { verbose: false })?;
        call.answer(self.runtime().status(request)).await
    }

    /// What the agent has to follow; runtimes before CRI of Kubernetes 1.28 do not have it.
    pub async fn runtime_config(&self) -> Result<v1::RuntimeConfigResponse, Error> {
        let call = self.call("RuntimeConfig");
        let request = call.request(v1::RuntimeConfigRequest {})?;
        call.answer(self.runtime().runtime_config(request)).await
    }

    /// Tells the range of the pods' addresses.
    pub async fn update_runtime_config(&self, pod_cidr: &str) -> Result<(), Error> {
        let call = self.call("UpdateRuntimeConfig");
        let request = call.request(v1::UpdateRuntimeConfigRequest {
            runtime_config: Some(v1::RuntimeConfig {
                network_config: Some(v1::NetworkConfig {
                    pod_cidr: pod_cidr.to_owned(),
                }),
            }),
        })?;
        call.answer(self.runtime().update_runtime_config(request))
            .await?;
        Ok(())
    }
}
