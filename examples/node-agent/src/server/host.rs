use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::Code;
use serde_json::Value;

use crate::log::{LogChunks, LogError, LogOptions, NoLog};
use crate::pod::{PodName, PodUid};
use crate::server::Summary;

/// What the servers ask of the agent.
///
/// # Errors
///
/// Clients are shown the text of an error with its causes; [`HostError`] says which status goes with it.
///
/// # Cancel safety
///
/// The futures of all methods are dropped when the client goes or the server stops.
///
/// Answers to `HostInterface` of Kubernetes 1.36.
pub trait ServerHost: Send + Sync + 'static {
    /// The pods that are wanted on the node.
    fn pods(&self) -> Vec<Arc<Pod>>;

    /// The pod of this name, if one is wanted.
    fn pod_named(&self, name: &PodName) -> Option<Arc<Pod>>;

    /// The uid that the agent goes by, for one that the API server goes by: they differ for static
    /// pods.
    fn resolve_uid(&self, uid: PodUid) -> PodUid {
        uid
    }

    /// The pods of which something runs, as the runtime has them.
    fn running_pods(&self) -> impl Future<Output = Result<Vec<Pod>, HostError>> + Send;

    /// The log of a container.
    fn container_log(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        options: &LogOptions,
    ) -> impl Future<Output = Result<LogChunks, HostError>> + Send;

    /// Runs a command to its end, and returns what it wrote.
    fn run_in_container(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
    ) -> impl Future<Output = Result<Vec<u8>, HostError>> + Send;

    /// Where the runtime runs a command with its streams.
    fn exec_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        command: Vec<String>,
        streams: Streams,
    ) -> impl Future<Output = Result<String, HostError>> + Send;

    /// Where the runtime has the streams of a container.
    fn attach_url(
        &self,
        pod: &Arc<Pod>,
        container: &str,
        streams: Streams,
    ) -> impl Future<Output = Result<String, HostError>> + Send;

    /// Where the runtime has the ports of a pod's sandbox. Clients of one protocol name no ports
    /// here, and do so later.
    fn port_forward_url(
        &self,
        pod: &Arc<Pod>,
        ports: Vec<u16>,
    ) -> impl Future<Output = Result<String, HostError>> + Send;

    /// What pods and containers use.
    fn stats(&self) -> impl Future<Output = Result<Summary, HostError>> + Send;

    /// The metrics of the agent, as Prometheus reads them.
    fn metrics(&self) -> String;

    /// The metrics of its probes, as Prometheus reads them.
    fn probe_metrics(&self) -> String;

    /// How the agent is configured: a `KubeletConfiguration`.
    fn configuration(&self) -> Value;
}

/// Which streams of a process a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four things that a client asks for or not, as CRI has them"
)]
pub struct Streams {
    /// Whether it has a standard input.
    pub stdin: bool,
    /// Whether its standard output is wanted.
    pub stdout: bool,
    /// Whether its standard error is wanted; never with a terminal, where both are one.
    pub stderr: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// Why the agent cannot do what it is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// There is no log.
    #[error(transparent)]
    NoLog(#[from] NoLog),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] kubewright_cri::Error),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl HostError {
    /// That there is no such container, in the words that `kubectl exec` shows.
    pub fn no_container(name: &str) -> Self {
        Self::NotFound(format!("container not found ({name:?})"))
    }

    /// The status of the answer to a request for streams.
    ///
    /// Answers to `streaming.WriteError` of Kubernetes 1.36.
    pub(super) fn status(&self) -> http::StatusCode {
        match self {
            Self::NotFound(_) => http::StatusCode::NOT_FOUND,
            Self::Runtime(error) => match error.code() {
                Code::NotFound => http::StatusCode::NOT_FOUND,
                Code::ResourceExhausted => http::StatusCode::TOO_MANY_REQUESTS,
                _ => http::StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::NoLog(_) | Self::Log(_) | Self::Failed(_) => {
                http::StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}
