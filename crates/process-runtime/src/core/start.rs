//! Starting containers, each with a shim.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::Status;
use kubewright_cri::v1::ContainerEventType;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Core, blocking, on_disk};
use crate::container::{Container, Life};
use crate::durable;
use crate::record::{Exit, Outcome};
use crate::shim::{CONTAINER, NAME};
use crate::store::{LOCK, SHIM_LOG};

/// How long a shim may take to start its container.
const PATIENCE: Duration = Duration::from_secs(60);

impl Core {
    /// Starts a container that was made.
    pub(crate) async fn start_container(self: Arc<Self>, id: String) -> Result<(), Status> {
        let container = self.container(&id)?;
        let sandbox = self.sandbox(&container.record.sandbox_id)?;
        let _sandbox = sandbox.operation.read().await;
        let _operation = container.operation.lock().await;
        // It may have been removed meanwhile.
        self.container(&id)?;
        if !matches!(*container.life.borrow(), Life::Created) {
            return Err(Status::failed_precondition(format!(
                "container is in {} state",
                container.state().as_str_name()
            )));
        }
        if !sandbox.is_ready() {
            return Err(Status::failed_precondition("the sandbox is not ready"));
        }
        let (mut child, outcome) = self
            .start_shim(&container)
            .await
            .map_err(on_disk("start the container's shim"))?;
        match outcome {
            Ok(Outcome::Started(started)) => {
                container.life.send_replace(Life::Running(started));
                self.tell(ContainerEventType::ContainerStartedEvent, &id, sandbox.id());
                let core = Arc::clone(&self);
                let container = Arc::clone(&container);
                self.spawn(async move { core.watch(&container, Some(child)).await });
                Ok(())
            }
            Ok(Outcome::Failed(exit)) => {
                let message = format!("failed to start container {id:?}: {}", exit.message);
                // It has nothing more to do than to end.
                let _ = child.wait().await;
                self.end_container(&container, exit);
                Err(Status::unknown(message))
            }
            Err(error) => {
                // Whatever has become of it, it is not to start the container any more.
                let _ = child.kill().await;
                let message = format!("the shim did not start the container: {error}");
                let exit = Exit::unknown(&message, 0, self.now());
                let exit = self.bury(&container, 0, exit).await;
                self.end_container(&container, exit);
                Err(Status::unknown(format!(
                    "failed to start container {id:?}: {message}"
                )))
            }
        }
    }

    /// Starts a shim, and waits for what it says.
    async fn start_shim(&self, container: &Container) -> io::Result<(Child, io::Result<Outcome>)> {
        let directory = container.directory.clone();
        let (lock, log) = blocking(move || {
            let lock = durable::lock(&directory.join(LOCK))?;
            let lock = lock.ok_or_else(|| io::Error::other("the container has a shim already"))?;
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(directory.join(SHIM_LOG))?;
            Ok::<(File, File), _>((lock, log))
        })
        .await?;
        let mut command = std::process::Command::new(&self.shim);
        // The lock is held for as long as the shim has its standard input, which is all its life.
        command
            .arg0(NAME)
            .arg(CONTAINER)
            .arg(container.id())
            .env_clear()
            .current_dir(&container.directory)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        let mut child = Command::from(command).spawn()?;
        let outcome = match child.stdout.take() {
            Some(stdout) => {
                let mut line = String::new();
                let mut stdout = BufReader::new(stdout);
                match timeout(PATIENCE, stdout.read_line(&mut line)).await {
                    Ok(Ok(0)) => Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "it ended without a word",
                    )),
                    Ok(Ok(_)) => serde_json::from_str(&line).map_err(io::Error::from),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(ErrorKind::TimedOut.into()),
                }
            }
            None => Err(io::Error::other("it has no output")),
        };
        Ok((child, outcome))
    }
}
