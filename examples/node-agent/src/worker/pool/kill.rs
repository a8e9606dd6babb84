use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::timeout;

use super::WorkerPool;
use crate::event::pod_reference;
use crate::pod::termination_grace;
use crate::worker::{Kill, Subject, UpdateKind, WorkerUpdate};

/// Runtimes take a while, however short the grace.
const LEAST_LIMIT: Duration = Duration::from_secs(10);

/// A pod was asked to end, and it is not known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KillWaitError {
    /// It did not in time; it is still being ended.
    #[error("timeout waiting to kill pod")]
    Late,
    /// There are no workers any more.
    #[error("no worker is left to kill the pod")]
    NoWorkers,
}

impl WorkerPool {
    /// Has a pod ended, and waits until its containers have.
    ///
    /// It waits for `limit`; without one for one and a half times the grace, and for 10 s at least.
    /// If that was not enough, an event `ExceededGracePeriod` tells it. The waiter in `kill` is
    /// replaced. Answers to kubelet's `killPodNow`.
    ///
    /// # Errors
    ///
    /// If the containers are not known to have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting: once it was polled, the pod is being ended.
    pub async fn kill_and_wait(
        &self,
        pod: Arc<Pod>,
        kill: Kill,
        limit: Option<Duration>,
    ) -> Result<(), KillWaitError> {
        let grace = kill.grace.or_else(|| termination_grace(&pod));
        let limit = limit.unwrap_or_else(|| {
            let grace = grace.unwrap_or_default();
            grace.saturating_add(grace / 2).max(LEAST_LIMIT)
        });
        let update = WorkerUpdate {
            kind: UpdateKind::Kill,
            subject: Subject::Configured {
                pod: pod.clone(),
                mirror: None,
            },
            kill: None,
        };
        let ended = self.shared.kill(update, kill);
        match timeout(limit, ended).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(KillWaitError::NoWorkers),
            Err(_) => {
                self.shared.parts.events.warning(
                    &pod_reference(&pod),
                    "ExceededGracePeriod",
                    "Container runtime did not kill the pod within specified grace period.",
                );
                Err(KillWaitError::Late)
            }
        }
    }
}
