use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::{WorkerOptions, turn};
use crate::pod::PodUid;
use crate::task::surface;
use crate::worker::PodSyncer;

/// Runs the workers of a [`WorkerPool`](super::WorkerPool), and owns their tasks.
pub struct WorkerDriver<S> {
    syncer: Arc<S>,
    shared: Arc<Shared>,
    options: WorkerOptions,
}

impl<S: PodSyncer> WorkerDriver<S> {
    pub(super) fn new(syncer: Arc<S>, shared: Arc<Shared>, options: WorkerOptions) -> Self {
        Self {
            syncer,
            shared,
            options,
        }
    }

    /// Runs workers until the token is cancelled. Then all turns are cancelled, and those that do
    /// not end soon are dropped.
    ///
    /// All tasks have ended when it returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops all turns at their next `await`.
    pub async fn run(self, token: CancellationToken) {
        let Self {
            syncer,
            shared,
            options,
        } = self;
        let mut tasks = JoinSet::new();
        let end = End(&shared);
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                // The panic of a turn was caught, so that this one would be the pool's own.
                Some(ended) = tasks.join_next() => surface(ended),
                started = shared.to_start() => {
                    for uid in started {
                        tasks.spawn(work(shared.clone(), syncer.clone(), uid));
                    }
                }
            }
        }
        drop(end);
        let all_ended = async {
            while let Some(ended) = tasks.join_next().await {
                surface(ended);
            }
        };
        if timeout(options.stop_timeout, all_ended).await.is_err() {
            tracing::warn!("dropped turns of pods that did not end");
        }
        tasks.shutdown().await;
    }
}

/// One worker, as long as it has something to do.
async fn work<S: PodSyncer>(shared: Arc<Shared>, syncer: Arc<S>, uid: PodUid) {
    while let Some(begun) = shared.begin(&uid) {
        let outcome = turn::run(&shared, &*syncer, &uid, &begun).await;
        shared.complete(&uid, &begun.work, outcome);
    }
}

/// Whichever way the driver ends, nobody waits for it any more.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<S> fmt::Debug for WorkerDriver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerDriver")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
