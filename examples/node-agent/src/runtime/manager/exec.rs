use std::time::Duration;

use kubewright_cri::{Error, v1};

use super::RuntimeManager;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors are those of the calls, which are told at the runtime's handle"
)]
impl RuntimeManager {
    /// Runs a command in a container to its end, or until `timeout` is over; `None` is for ever.
    ///
    /// A command that fails is no error: its exit code says so.
    pub async fn exec_in_container(
        &self,
        container_id: &str,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<v1::ExecSyncResponse, Error> {
        let runtime = &self.inner.runtime;
        runtime.exec_sync(container_id, command, timeout).await
    }

    /// The URL at which a command can be run with its streams.
    pub async fn exec_url(&self, request: v1::ExecRequest) -> Result<String, Error> {
        self.inner.runtime.exec(request).await
    }

    /// The URL at which the streams of a running container are.
    pub async fn attach_url(&self, request: v1::AttachRequest) -> Result<String, Error> {
        self.inner.runtime.attach(request).await
    }

    /// The URL at which ports of a sandbox are.
    pub async fn port_forward_url(
        &self,
        sandbox_id: &str,
        ports: Vec<i32>,
    ) -> Result<String, Error> {
        self.inner.runtime.port_forward(sandbox_id, ports).await
    }
}
