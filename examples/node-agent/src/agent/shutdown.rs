use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::handler::Handler;
use crate::admission::Rejection;
use crate::config::{Config, Gate};
use crate::pod::PodName;
use crate::shutdown::{ShutdownGroup, shut_down, shutdown_grace, shutdown_groups};
use crate::worker::{Kill, KillCause};

/// How long last statuses have to be written after their pods have ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// Whether the node is being shut down. A cheap handle; clones agree.
#[derive(Clone, Debug, Default)]
pub(super) struct ShuttingDown {
    flag: Arc<AtomicBool>,
}

impl ShuttingDown {
    fn begin(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// What keeps the node from being ready.
    pub(super) fn problem(&self) -> Option<String> {
        let is_down = self.flag.load(Ordering::Relaxed);
        is_down.then(|| "node is shutting down".to_owned())
    }

    /// Why no pod is let in.
    ///
    /// Answers to the `Admit` of kubelet's shutdown manager.
    pub(super) fn admit(&self) -> Result<(), Rejection> {
        match self.problem() {
            None => Ok(()),
            Some(_) => Err(Rejection {
                reason: "NodeShutdown".into(),
                message: "Pod was rejected as the node is shutting down.".into(),
            }),
        }
    }
}

/// Whether pods are to be ended before the agent is.
pub(super) fn is_graceful(config: &Config) -> bool {
    config.gates.enabled(Gate::GracefulNodeShutdown) && !config.shutdown_grace_period.is_zero()
}

impl Handler {
    /// Ends the pods of the node, critical ones last, each group within its time; no other pod is
    /// let in from then on.
    ///
    /// Answers to `processShutdownEvent` of kubelet's shutdown manager.
    pub(super) async fn shut_down(&self) {
        self.shutting_down.begin();
        let config = &self.parts.config;
        let groups = shutdown_groups(
            self.active_pods(None),
            config.shutdown_grace_period,
            config.shutdown_grace_period_critical_pods,
        );
        tracing::info!("the node is shutting down");
        for group in groups {
            self.end_group(&group).await;
        }
        // Whoever asks the API server afterwards is to be told how the pods ended.
        let written = async {
            while self.parts.statuses.has_news() {
                sleep(LOOK).await;
            }
        };
        if self.parts.mirrors.is_some() && timeout(LAST_WORDS, written).await.is_err() {
            tracing::warn!("the node goes, and not all statuses of its pods are written");
        }
    }

    async fn end_group(&self, group: &ShutdownGroup) {
        let begin = Instant::now();
        let kills = group.pods.iter().map(|pod| async move {
            let kill = Kill {
                cause: KillCause::Removed,
                grace: Some(shutdown_grace(pod, group)),
                status: Some(shut_down()),
                waiter: None,
            };
            let limit = Some(group.limit);
            let ended = self.workers.kill_and_wait(pod.clone(), kill, limit).await;
            if let Err(error) = ended {
                tracing::warn!(pod = %PodName::of(pod), %error, "a pod does not end in time");
            }
        });
        join_all(kills).await;
        let took = begin.elapsed();
        tracing::info!(pods = group.pods.len(), ?took, "pods have ended");
    }
}
