use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::{Error, v1};

use super::sandbox_config::SandboxConfig;
use super::{RuntimeManager, SandboxConfigError, SyncError, rpc_error};
use crate::causes::with_causes;
use crate::event::pod_reference;
use crate::pod::PodUid;

impl RuntimeManager {
    /// Makes a sandbox for a pod, and tells its id and what has become of it.
    ///
    /// Answers to kubelet's `createPodSandbox`.
    pub(super) async fn create_sandbox(
        &self,
        pod: &Pod,
        made: &SandboxConfig,
    ) -> Result<v1::PodSandboxStatus, SyncError> {
        let reference = pod_reference(pod);
        for warning in &made.warnings {
            let events = self.events();
            events.warning(&reference, warning.reason, warning.message.clone());
        }
        let id = match self.run_sandbox(pod, &made.config).await {
            Ok(id) => id,
            Err(error) => {
                self.tell_sandbox_failure(pod, &error);
                return Err(error);
            }
        };
        let answer = self.inner.runtime.pod_sandbox_status(&id).await;
        match answer {
            Ok(answer) => Ok(v1::PodSandboxStatus {
                id,
                ..answer.status.unwrap_or_default()
            }),
            Err(error) => {
                let cause = rpc_error(&error);
                let message = format!("Unable to get pod sandbox status: {cause}");
                let events = self.events();
                events.warning(&reference, "FailedPodSandBoxStatus", message);
                Err(SyncError::SandboxStatus(error))
            }
        }
    }

    pub(super) fn tell_sandbox_failure(&self, pod: &Pod, error: &SyncError) {
        let cause = match error {
            SyncError::Sandbox(error) => rpc_error(error),
            error => with_causes(error),
        };
        let message = format!("Failed to create pod sandbox: {cause}");
        let events = self.events();
        events.warning(&pod_reference(pod), "FailedCreatePodSandBox", message);
    }

    async fn run_sandbox(
        &self,
        pod: &Pod,
        config: &v1::PodSandboxConfig,
    ) -> Result<String, SyncError> {
        let path = PathBuf::from(&config.log_directory);
        fs::create_dir_all(&path)
            .map_err(|source| SandboxConfigError::LogDirectory { path, source })?;
        let runtime = &self.inner.runtime;
        match runtime.run_pod_sandbox(config.clone(), "").await {
            Ok(id) => Ok(id),
            // It was made before, and the answer was lost.
            Err(error @ Error::AlreadyExists(_)) => {
                let found = self.find_sandbox(pod, config).await;
                let found = found.map_err(SyncError::Sandbox)?;
                found.ok_or(SyncError::Sandbox(error))
            }
            Err(error) => Err(SyncError::Sandbox(error)),
        }
    }

    /// The ready sandbox that was made from this, if there is one.
    async fn find_sandbox(
        &self,
        pod: &Pod,
        config: &v1::PodSandboxConfig,
    ) -> Result<Option<String>, Error> {
        let listed = self.sandboxes_of(&PodUid::of(pod)).await?;
        let found = listed.into_iter().find(|sandbox| {
            sandbox.state() == v1::PodSandboxState::SandboxReady
                && sandbox.metadata == config.metadata
        });
        Ok(found.map(|sandbox| sandbox.id))
    }
}
