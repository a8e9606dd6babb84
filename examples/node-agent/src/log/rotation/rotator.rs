use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use kubewright_clock::Clock;
use kubewright_cri::v1::{ContainerFilter, ContainerState, ContainerStateValue};
use kubewright_cri::{Error, Runtime};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::files::{self, RotationError};

/// When logs are rotated, and how much is kept of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// How long a log may get, in bytes. Default: 10 Mi.
    pub max_size: u64,
    /// How many files there are of a log at most, at least 2. Default: 5.
    pub max_files: u32,
    /// How often logs are looked at. Default: 10 s.
    pub period: Duration,
}

/// What is asked of a runtime about logs.
pub trait LogRuntime: Send + Sync + 'static {
    /// The ids of the containers that run.
    fn running(&self) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// Where a container's log is; `None` if it has none.
    fn log_path(&self, id: &str) -> impl Future<Output = Result<Option<PathBuf>, Error>> + Send;

    /// Has the runtime begin a new file.
    fn reopen(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Rotates the logs of running containers.
///
/// Answers to `ContainerLogManager` of Kubernetes 1.36.
#[derive(Clone, Debug)]
pub struct LogRotation<R> {
    runtime: R,
    policy: RotationPolicy,
    clock: Clock,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            max_size: 10 << 20,
            max_files: 5,
            period: Duration::from_secs(10),
        }
    }
}

impl<R: LogRuntime> LogRotation<R> {
    /// Rotates the logs of this runtime's containers; rotated ones are named by the clock.
    pub fn new(runtime: R, policy: RotationPolicy, clock: Clock) -> Self {
        Self {
            runtime,
            policy,
            clock,
        }
    }

    /// Looks at all logs, again and again, until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a log renamed and not begun anew; the next look of another
    /// rotation, in which the log is missing, has it begun.
    pub async fn run(self, token: CancellationToken) {
        let mut ticks = interval(self.policy.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A rotation that has begun is finished.
            if token.run_until_cancelled(ticks.tick()).await.is_none() {
                return;
            }
            self.rotate_all().await;
        }
    }

    /// Looks at the logs of all running containers once. What fails is logged, and tried again with
    /// the next look.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Self::run).
    pub async fn rotate_all(&self) {
        let containers = match self.runtime.running().await {
            Ok(containers) => containers,
            Err(error) => {
                tracing::warn!(%error, "containers cannot be listed to rotate their logs");
                return;
            }
        };
        for id in containers {
            if let Err(error) = self.look_at(&id).await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(container = id, %error, cause, "a log was not rotated");
            }
        }
    }

    async fn look_at(&self, id: &str) -> Result<(), RotationError> {
        let Some(log) = self.runtime.log_path(id).await? else {
            return Ok(());
        };
        let length = match self.length(&log).await? {
            Some(length) => length,
            // An agent before this one may have moved it away, and been killed.
            None => {
                self.runtime.reopen(id).await?;
                self.length(&log).await?.unwrap_or_default()
            }
        };
        if length < self.policy.max_size {
            return Ok(());
        }
        let (max_files, now): (u32, Timestamp) = (self.policy.max_files, self.clock.now());
        let path = log.clone();
        let rotated = blocking(move || files::rotate(&path, max_files, now)).await?;
        if let Err(error) = self.runtime.reopen(id).await {
            // The runtime writes on in the old file, which is to be rotated again.
            blocking(move || files::rename(&rotated, &log)).await?;
            return Err(error.into());
        }
        Ok(())
    }

    async fn length(&self, log: &Path) -> Result<Option<u64>, RotationError> {
        let log = log.to_owned();
        blocking(move || files::length(&log)).await
    }
}

/// Removes the log of a container that is gone, and all that was rotated of it.
///
/// # Errors
///
/// If a file cannot be removed.
///
/// # Cancel safety
///
/// The files are removed all the same.
pub async fn remove_log(log: &Path) -> Result<(), RotationError> {
    let log = log.to_owned();
    blocking(move || files::clean(&log)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RotationError> + Send + 'static,
) -> Result<T, RotationError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(RotationError::GivenUp))
}

impl LogRuntime for Runtime {
    async fn running(&self) -> Result<Vec<String>, Error> {
        let filter = ContainerFilter {
            state: Some(ContainerStateValue {
                state: ContainerState::ContainerRunning.into(),
            }),
            ..ContainerFilter::default()
        };
        let containers = self.list_containers(Some(filter)).await?;
        Ok(containers.into_iter().map(|it| it.id).collect())
    }

    async fn log_path(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        let status = self.container_status(id).await?;
        Ok(Some(status.log_path)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from))
    }

    async fn reopen(&self, id: &str) -> Result<(), Error> {
        self.reopen_container_log(id).await
    }
}
