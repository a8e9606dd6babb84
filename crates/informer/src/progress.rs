//! On the way to being in sync.

use tokio::sync::watch;

/// How far an informer or a handler has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not in sync yet.
    Waiting,
    /// In sync, or was when it ended.
    Synced,
    /// Ended before it was in sync.
    Ended,
}

impl Progress {
    pub(crate) fn is_synced(self) -> bool {
        self == Self::Synced
    }
}

/// Waits until it is clear whether it comes to be in sync, and says so.
///
/// Cancel safe: nothing is consumed.
pub(crate) async fn comes_to_be_synced(mut progress: watch::Receiver<Progress>) -> bool {
    progress
        .wait_for(|progress| *progress != Progress::Waiting)
        .await
        .is_ok_and(|progress| progress.is_synced())
}

/// Records the end, unless it had come to be in sync before.
pub(crate) fn end(progress: &watch::Sender<Progress>) {
    progress.send_if_modified(|progress| {
        let waiting = *progress == Progress::Waiting;
        if waiting {
            *progress = Progress::Ended;
        }
        waiting
    });
}
