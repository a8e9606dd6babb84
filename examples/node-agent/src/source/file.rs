mod files;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::pod::PodSource;
use crate::source::manifest::Manifests;
use crate::source::{Closed, PodSets, SetSource};
use files::{Files, Occasion};
use watch::Watch;

/// Static pods in files: a directory of manifests, or one manifest.
///
/// # Guarantees
///
/// - One file is one pod. Files whose names begin with a dot, and directories, are passed over.
/// - Changes are seen at once where the system tells of them, and within the period in any case.
/// - A file that is no valid pod is logged, once for each content, and costs no other file anything.
///   If it was one before, as it may be while somebody writes to it, its pod stays until the next
///   period ends, and goes then.
/// - A path that does not exist is an empty directory, until it does. If the path cannot be read
///   otherwise, the last set stands.
///
/// Answers to `NewSourceFile` of Kubernetes 1.36, which differs for the path of one file: while that
/// is no pod, upstream's source says nothing at all, and the agent never takes its sources for ready.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    manifests: Manifests,
    period: Duration,
}

impl FileSource {
    /// The manifests of `path`, which are all read again every `period` (upstream: 20 s).
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn new(path: impl Into<PathBuf>, node_name: impl Into<String>, period: Duration) -> Self {
        assert!(!period.is_zero(), "a period is longer than nothing");
        Self {
            path: path.into(),
            manifests: Manifests::new(node_name),
            period,
        }
    }

    async fn deliver(self, sets: PodSets) -> Result<(), Closed> {
        let mut watch = Watch::new(self.path.clone());
        let mut files = Files::new(self.path, self.manifests);
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let occasion = tokio::select! {
                biased;
                _ = ticks.tick() => Occasion::Period,
                () = watch.changed() => Occasion::Change,
            };
            if occasion == Occasion::Period {
                // Before the files are read, so that no change falls in between.
                watch.renew().await;
            }
            match files.read(occasion).await {
                Ok(pods) => sets.send(pods).await?,
                Err(error) => {
                    let path = files.path().display();
                    tracing::error!(%path, %error, "static pods cannot be read");
                }
            }
        }
    }
}

impl SetSource for FileSource {
    const SOURCE: PodSource = PodSource::File;

    async fn run(self, sets: PodSets, token: CancellationToken) {
        let _ = token.run_until_cancelled(self.deliver(sets)).await;
    }
}
