use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Tells when something happens to the files of a directory.
#[derive(Debug)]
pub(super) struct Watch {
    changed: Arc<Notify>,
    /// Watches until it is dropped. Without one, nothing is ever told.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches a directory if it can: the number of watchers that a user may have is small.
    pub(super) fn new(directory: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watch(directory, Arc::clone(&changed));
        if let Err(error) = &watcher {
            let directory = directory.display();
            tracing::debug!(%directory, %error, "a log is followed by looking at it periodically");
        }
        Self {
            changed,
            _watcher: watcher.ok(),
        }
    }

    /// Waits until something happens. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn watch(directory: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // After an error nobody knows what happened.
        if event.as_ref().map_or(true, matters) {
            changed.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether a file may have changed: reading one, as a follower does itself, is an event too.
fn matters(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
