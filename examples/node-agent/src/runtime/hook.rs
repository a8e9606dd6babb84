//! What is run in a container after it was started and before it is stopped.

mod http;

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, LifecycleHandler, Pod};
use kubewright_cri::Runtime;

use super::manager::rpc_error;
use crate::pod::described;
use crate::probe::HttpClient;

pub(super) use http::HookEvent;

/// Runs hooks. Answers to kubelet's `handlerRunner`.
pub(super) struct HookRunner {
    runtime: Runtime,
    http: HttpClient,
}

/// In which container a hook is run.
pub(super) struct HookContext<'a> {
    pub(super) container_id: &'a str,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    /// Those of the host for a pod in its network.
    pub(super) pod_ips: &'a [IpAddr],
}

/// A hook failed. What it says may hold secrets of the container.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HookError(String);

impl HookRunner {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            http: HttpClient::default(),
        }
    }

    /// Runs a hook to its end, however long that takes. There may be something to tell though it
    /// went well.
    pub(super) async fn run(
        &self,
        context: &HookContext<'_>,
        hook: &LifecycleHandler,
    ) -> Result<Option<HookEvent>, HookError> {
        let HookContext { pod, container, .. } = context;
        let failed = |what: String, cause: String| {
            let name = &container.name;
            let pod = described(pod);
            HookError(format!(
                "{what} for Container {name:?} in Pod {pod:?} failed - error: {cause}"
            ))
        };
        if let Some(exec) = &hook.exec {
            let command = exec.command.iter().flatten();
            let command: Vec<_> = command.map(String::as_str).collect();
            let what = || format!("Exec lifecycle hook ([{}])", command.join(" "));
            let ran = self.exec(context, exec).await;
            return ran.map(|()| None).map_err(|cause| failed(what(), cause));
        }
        if let Some(action) = &hook.http_get {
            let path = action.path.as_deref().unwrap_or_default();
            let asked = http::get(&self.http, action, container, context.pod_ips.first());
            let asked = asked.await;
            return asked.map_err(|cause| failed(format!("HTTP lifecycle hook ({path})"), cause));
        }
        if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or_default();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            return Ok(None);
        }
        let cause = match &hook.tcp_socket {
            // The API server lets it through for the sake of old objects, and no kubelet runs it.
            Some(_) => "tcpSocket is not a hook",
            None => "there is nothing to run",
        };
        Err(HookError(format!(
            "Cannot run handler: invalid handler: {cause}"
        )))
    }

    async fn exec(&self, context: &HookContext<'_>, exec: &ExecAction) -> Result<(), String> {
        let command = exec.command.clone().unwrap_or_default();
        let line = command.join(" ");
        let id = context.container_id;
        let ended = self.runtime.exec_sync(id, command, None).await;
        let ended = ended.map_err(|error| rpc_error(&error))?;
        if ended.exit_code == 0 {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&ended.stderr);
        let stdout = String::from_utf8_lossy(&ended.stdout);
        Err(format!(
            "command '{line}' exited with {}: {stderr}, message: \"{stdout}{stderr}\"",
            ended.exit_code
        ))
    }
}
