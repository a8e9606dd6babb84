//! Commands in containers.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::pin;
use std::time::Duration;

use kubewright_cri::v1::ExecSyncResponse;
use kubewright_cri::{MAX_MESSAGE_SIZE, Status};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::Core;
use crate::shim::channel::{Reader, pipe};
use crate::shim::wire::{Reply, Request};

/// How long output may still come when the command has ended: what it left in the background may
/// hold its streams for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How much output is kept: what fits into an answer. The rest is read and thrown away.
const MAX_OUTPUT: usize = MAX_MESSAGE_SIZE - 1024;

/// The output of a command, up to a limit for both of its streams together.
#[derive(Debug, Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Core {
    /// Runs a command to its end, or until its time is over.
    pub(crate) async fn exec_sync(
        &self,
        id: &str,
        command: Vec<String>,
        limit: Option<Duration>,
    ) -> Result<ExecSyncResponse, Status> {
        let failed =
            |error: io::Error| Status::unknown(format!("failed to exec in container: {error}"));
        let (container, _) = self.running(id).map_err(|status| {
            let text = format!("failed to exec in container: {}", status.message());
            Status::new(status.code(), text)
        })?;
        let (stdout, stdout_end) = pipe().map_err(failed)?;
        let (stderr, stderr_end) = pipe().map_err(failed)?;
        let stdin: OwnedFd = File::open("/dev/null").map_err(failed)?.into();
        let (stdout, stderr) = (reader(stdout)?, reader(stderr)?);
        let request = Request::Exec {
            command,
            tty: false,
        };
        let streams = [stdin.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()];
        let shim = container.shim();
        let mut conversation = shim.open(&request, &streams).await.map_err(failed)?;
        drop((stdin, stdout_end, stderr_end));

        let output = Mutex::new(Output::default());
        let ended = async {
            let mut answer = pin!(conversation.answer());
            let mut reading = pin!(async {
                tokio::join!(
                    collect(&stdout, &output, |output| &mut output.stdout),
                    collect(&stderr, &output, |output| &mut output.stderr),
                )
            });
            tokio::select! {
                answer = &mut answer => {
                    let _ = timeout(LAST_OUTPUT, reading).await;
                    answer
                }
                _ = &mut reading => answer.await,
            }
        };
        let answer = match limit {
            None => ended.await,
            Some(limit) => match timeout(limit, ended).await {
                Ok(answer) => answer,
                Err(_) => {
                    conversation.hang_up().await;
                    return Err(Status::deadline_exceeded(format!(
                        "failed to exec in container: timeout {limit:?} exceeded: context deadline exceeded"
                    )));
                }
            },
        };
        match answer.map_err(failed)? {
            Reply::Exited(exit_code) => {
                let Output { stdout, stderr } = output.into_inner();
                Ok(ExecSyncResponse {
                    stdout,
                    stderr,
                    exit_code,
                })
            }
            Reply::Refused(reason) => Err(Status::unknown(format!(
                "failed to exec in container: failed to start exec: {reason}"
            ))),
            Reply::Done | Reply::Ended(_) => {
                Err(failed(io::Error::other("the container has ended")))
            }
        }
    }
}

async fn collect(
    from: &Reader,
    output: &Mutex<Output>,
    stream: impl Fn(&mut Output) -> &mut Vec<u8>,
) {
    let mut part = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut part).await {
        let mut output = output.lock();
        let room = MAX_OUTPUT - output.stdout.len() - output.stderr.len();
        stream(&mut output).extend_from_slice(&part[..read.min(room)]);
    }
}

fn reader(end: OwnedFd) -> Result<Reader, Status> {
    Reader::new(end)
        .map_err(|error| Status::unknown(format!("failed to exec in container: {error}")))
}
