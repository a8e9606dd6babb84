use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::pod::PodSource;

/// Whether all sources have spoken, and the sync loop has acted on what they said first.
///
/// Until then nobody knows what is wanted, so that nothing may be taken for unwanted: whatever
/// deletes pods, or cleans up after them, asks this first.
///
/// A cheap handle; clones agree.
#[derive(Clone, Debug)]
pub struct SourcesReady {
    silent: Arc<watch::Sender<BTreeSet<PodSource>>>,
}

impl SourcesReady {
    /// None of these sources has spoken.
    pub fn awaiting(sources: impl IntoIterator<Item = PodSource>) -> Self {
        let silent = sources.into_iter().collect();
        Self {
            silent: Arc::new(watch::Sender::new(silent)),
        }
    }

    /// Says that the first update of `source` has been acted on.
    pub fn mark(&self, source: PodSource) {
        self.silent
            .send_if_modified(|silent| silent.remove(&source));
    }

    /// Whether all have spoken.
    pub fn all(&self) -> bool {
        self.silent.borrow().is_empty()
    }

    /// Those that have not spoken.
    pub fn silent(&self) -> BTreeSet<PodSource> {
        self.silent.borrow().clone()
    }

    /// Waits until [`SourcesReady::all`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn wait(&self) {
        let mut silent = self.silent.subscribe();
        // The sender lives as long as `self`.
        let _ = silent.wait_for(BTreeSet::is_empty).await;
    }
}
