//! Commands in containers, and where their streams are.

use std::time::Duration;

use super::containers::whole_seconds;
use super::{Call, Runtime};
use crate::Error;
use crate::v1;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// Runs a command in a container to its end, or until `timeout` is over; `None` is for ever.
    ///
    /// A command that fails is no error: its exit code says so.
    /// One that takes too long is [`Error::DeadlineExceeded`].
    pub async fn exec_sync(
        &self,
        id: &str,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<v1::ExecSyncResponse, Error> {
        let call = match timeout {
            Some(timeout) => self.call_of("ExecSync", timeout),
            None => Call::unlimited("ExecSync"),
        };
        let request = call.request(v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command,
            timeout: timeout.map_or(0, whole_seconds),
        })?;
        call.answer(self.runtime().exec_sync(request)).await
    }

    /// The URL at which a command can be run with its streams.
    pub async fn exec(&self, request: v1::ExecRequest) -> Result<String, Error> {
        let call = self.call("Exec");
        let request = call.request(request)?;
        Ok(call.answer(self.runtime().exec(request)).await?.url)
    }

    /// The URL at which the streams of a running container are.
    pub async fn attach(&self, request: v1::AttachRequest) -> Result<String, Error> {
        let call = self.call("Attach");
        let request = call.request(request)?;
        Ok(call.answer(self.runtime().attach(request)).await?.url)
    }

    /// The URL at which ports of a sandbox are.
    pub async fn port_forward(&self, sandbox_id: &str, ports: Vec<i32>) -> Result<String, Error> {
        let call = self.call("PortForward");
        let request = call.request(v1::PortForwardRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            port: ports,
        })?;
        Ok(call.answer(self.runtime().port_forward(request)).await?.url)
    }
}
