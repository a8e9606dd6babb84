use std::path::{Path, PathBuf};
use std::time::Duration;

use kubewright_clock::Clock;
use kubewright_cri::v1::{ContainerFilter, ContainerState, ContainerStateValue};
use kubewright_cri::{Error, Runtime};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::compressor::Compressor;
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
    /// Of how many logs rotated files are compressed at once, at least 1. Default: 1.
    pub max_workers: usize,
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

/// Rotates the logs of running containers, and compresses what was rotated but for the newest file.
///
/// # Guarantees
///
/// - No line is lost or doubled, but for those of the oldest files, which go.
/// - No rotation waits for a compression, neither of its own log nor of another's.
/// - A rotated log keeps its name, which sorts after those of the logs before it.
///
/// What bounds a log on disk: at each look it is cut, if it is too long, and files go that are too
/// many. Between two looks nothing stops a container that writes: a file is as long as the policy
/// says, and what was written in one period. The newest rotated file stays as it is, and the others
/// wait for their compression uncompressed.
///
/// Answers to `ContainerLogManager` of Kubernetes 1.36, whose workers compress before they rotate.
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
            max_workers: 1,
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

    /// Looks at all logs, again and again, until the token is cancelled. What fails is logged, and
    /// tried again with the next look.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a log renamed and not begun anew; the next look of another
    /// rotation, in which the log is missing, has it begun. Nothing is left half compressed.
    pub async fn run(self, token: CancellationToken) {
        let mut compressor = Compressor::new(self.policy.max_workers);
        let mut ticks = interval(self.policy.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                // A rotation that has begun is finished.
                _ = ticks.tick() => self.rotate_all(&mut compressor).await,
                () = compressor.run() => {}
            }
        }
        compressor.stop().await;
    }

    /// Looks at the logs of all running containers once.
    async fn rotate_all(&self, compressor: &mut Compressor) {
        let containers = match self.runtime.running().await {
            Ok(containers) => containers,
            Err(error) => {
                tracing::warn!(%error, "containers cannot be listed to rotate their logs");
                return;
            }
        };
        for id in containers {
            match self.look_at(&id).await {
                Ok(Some(log)) => compressor.push(log),
                Ok(None) => {}
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(container = id, %error, cause, "a log was not rotated");
                }
            }
        }
    }

    /// The log of a container, if it was rotated.
    async fn look_at(&self, id: &str) -> Result<Option<PathBuf>, RotationError> {
        let Some(log) = self.runtime.log_path(id).await? else {
            return Ok(None);
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
            return Ok(None);
        }
        let (max_files, now) = (self.policy.max_files, self.clock.now());
        let path = log.clone();
        let rotated = blocking(move || files::rotate(&path, max_files, now)).await?;
        if let Err(error) = self.runtime.reopen(id).await {
            let place = log.clone();
            if blocking(move || files::put_back(&rotated, &place)).await? {
                // The runtime writes on in the old file, which is to be rotated again.
                return Err(error.into());
            }
            tracing::debug!(container = id, %error, "only the answer was lost: the log is begun");
        }
        Ok(Some(log))
    }

    async fn length(&self, log: &Path) -> Result<Option<u64>, RotationError> {
        let log = log.to_owned();
        blocking(move || files::length(&log)).await
    }
}

/// Removes the log of a container that is gone, and all that was rotated of it. These are a few files:
/// nobody needs a thread for that.
///
/// # Errors
///
/// If a file cannot be removed; others are all the same.
pub fn remove_log(log: &Path) -> Result<(), RotationError> {
    files::clean(log)
}

/// The files of a log that were rotated and are not compressed, the oldest first. Cancel safe.
pub(in crate::log) async fn uncompressed_files(log: &Path) -> Result<Vec<PathBuf>, RotationError> {
    let log = log.to_owned();
    blocking(move || files::uncompressed(&log)).await
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
