use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::files;

/// Compresses what was rotated, on threads of its own, so that nobody waits for it.
///
/// - Of one log only one file is compressed at a time, and of all no more than there may be.
/// - It remembers logs and not files: what is to be compressed is looked up when it is their turn.
/// - Once it is dropped, threads end that are at work, and leave nothing half made.
#[derive(Debug)]
pub(super) struct Compressor {
    /// How many logs are compressed at once.
    most: usize,
    /// Each only once.
    waiting: VecDeque<PathBuf>,
    busy: HashMap<Id, PathBuf>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Compressor {
    pub(super) fn new(most: usize) -> Self {
        let stop = CancellationToken::new();
        Self {
            most: most.max(1),
            waiting: VecDeque::new(),
            busy: HashMap::new(),
            tasks: JoinSet::new(),
            stop: stop.clone(),
            _stop_on_drop: stop.drop_guard(),
        }
    }

    /// Something was rotated of a log.
    pub(super) fn push(&mut self, log: PathBuf) {
        if !self.waiting.contains(&log) {
            self.waiting.push_back(log);
        }
        self.start();
    }

    /// Begins with what waits as others are done. Never returns.
    ///
    /// Cancel safe: what was begun goes on.
    pub(super) async fn run(&mut self) {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let id = match ended {
                Ok((id, ())) => id,
                Err(error) => {
                    tracing::error!(%error, "a log is not compressed yet");
                    error.id()
                }
            };
            self.busy.remove(&id);
            self.start();
        }
    }

    /// Begins nothing more, and ends what was begun.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self) {
        while self.tasks.len() < self.most {
            let is_busy = |log: &PathBuf| self.busy.values().any(|busy| busy == log);
            let next = self.waiting.iter().position(|log| !is_busy(log));
            let Some(log) = next.and_then(|next| self.waiting.remove(next)) else {
                return;
            };
            let (path, stop) = (log.clone(), self.stop.clone());
            let work = move || files::compress_rotated(&path, &|| stop.is_cancelled());
            let id = self.tasks.spawn_blocking(work).id();
            self.busy.insert(id, log);
        }
    }
}
