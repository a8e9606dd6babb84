use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Tells when something happens to a path: in the directory if it is one, else to the file, which
/// may be replaced by another of the same name.
///
/// What cannot be watched, such as a path that is not there, is watched once it can be.
pub(super) struct Watch {
    path: PathBuf,
    changed: Arc<Notify>,
    watched: Option<Watched>,
}

struct Watched {
    directory: Incarnation,
    /// Watches until it is dropped.
    _watcher: RecommendedWatcher,
}

/// A directory, which is another one once it was removed and made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Incarnation {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Watch {
    /// Watches nothing before [`Watch::renew`].
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            changed: Arc::default(),
            watched: None,
        }
    }

    /// Waits for something to happen. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Sees to it that what the path is now is watched.
    pub(super) async fn renew(&mut self) {
        let directory = match self.directory().await {
            Ok(directory) => directory,
            Err(error) => {
                let path = self.path.display();
                tracing::debug!(%path, %error, "the path of static pods cannot be watched yet");
                self.watched = None;
                return;
            }
        };
        if self
            .watched
            .as_ref()
            .is_some_and(|watched| watched.directory == directory)
        {
            return;
        }
        self.watched = match self.watch(&directory.path) {
            Ok(watcher) => Some(Watched {
                directory,
                _watcher: watcher,
            }),
            Err(error) => {
                let path = directory.path.display();
                tracing::warn!(%path, %error, "changes of static pods are only seen periodically");
                None
            }
        };
    }

    fn watch(&self, directory: &Path) -> notify::Result<RecommendedWatcher> {
        let changed = Arc::clone(&self.changed);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // After an error nobody knows what happened.
            if event.as_ref().map_or(true, matters) {
                changed.notify_one();
            }
        })?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    /// The directory to be watched.
    async fn directory(&self) -> io::Result<Incarnation> {
        let mut path = self.path.as_path();
        let mut is = tokio::fs::metadata(path).await?;
        if !is.is_dir() {
            path = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            is = tokio::fs::metadata(path).await?;
        }
        Ok(Incarnation {
            path: path.to_owned(),
            device: is.dev(),
            inode: is.ino(),
        })
    }
}

/// Whether a file may have changed: reading one, as the agent itself does, is an event too.
fn matters(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
