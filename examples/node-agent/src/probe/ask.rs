use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::{Code, Runtime};

use super::http::HttpClient;
use super::target::{Target, TargetError};
use super::{grpc, tcp};
use crate::runtime::ContainerId;

/// The longest answer that is looked at: 10 KiB.
pub(super) const MAX_ANSWER: usize = 10 << 10;

/// One probe of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The container.
    pub container: ContainerId,
    /// What is asked.
    pub target: Target,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// What a target answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is well; with what it said.
    Success(String),
    /// All seems well, and people should know why it only seems so.
    Warning(String),
    /// It is not well, for this reason.
    Failure(String),
}

/// A target could not be asked, so that nothing is known of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody can tell what is to be asked.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The runtime did not run the command.
    #[error("rpc error: {0}")]
    Runtime(Arc<kubewright_cri::Error>),
    /// The answer broke off.
    #[error("{0}")]
    Answer(String),
}

/// Where questions are answered.
///
/// [`Targets`] asks what is really there; tests answer by a script.
pub trait Ask: Send + Sync + 'static {
    /// Asks once.
    ///
    /// An answer that is late or cannot be had is a [`Failure`](Answer::Failure) of the target.
    ///
    /// # Errors
    ///
    /// If it was not the target that failed.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<Answer, ProbeError>> + Send;
}

/// The targets of probes: containers, and what listens in pods.
///
/// # Cancel safety
///
/// Dropping a question closes its connection. A command goes on until its timeout.
#[derive(Clone, Debug)]
pub struct Targets {
    runtime: Runtime,
    http: HttpClient,
}

impl Targets {
    /// The containers of this runtime, and the network of this host.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            http: HttpClient::default(),
        }
    }

    /// Runs a command. One that takes too long has failed.
    async fn exec(
        &self,
        container: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<Answer, ProbeError> {
        let ran = self
            .runtime
            .exec_sync(&container.id, command.to_vec(), Some(timeout))
            .await;
        match ran {
            Ok(ran) => {
                let mut output = ran.stdout;
                output.extend(ran.stderr);
                output.truncate(MAX_ANSWER);
                let output = String::from_utf8_lossy(&output).into_owned();
                Ok(if ran.exit_code == 0 {
                    Answer::Success(output)
                } else {
                    Answer::Failure(output)
                })
            }
            Err(error) if error.code() == Code::DeadlineExceeded => {
                let command = command.join(" ");
                Ok(Answer::Failure(format!("command {command:?} timed out")))
            }
            Err(error) => Err(ProbeError::Runtime(Arc::new(error))),
        }
    }
}

impl Ask for Targets {
    async fn ask(&self, question: &Question) -> Result<Answer, ProbeError> {
        let timeout = question.timeout;
        match &question.target {
            Target::Exec(command) => self.exec(&question.container, command, timeout).await,
            Target::Http(target) => self.http.probe(target, timeout).await,
            Target::Tcp { host, port } => Ok(tcp::probe(host, *port, timeout).await),
            Target::Grpc {
                host,
                port,
                service,
            } => Ok(grpc::probe(host, *port, service, timeout).await),
        }
    }
}
