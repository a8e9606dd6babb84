use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::pod::PodSource;

/// Whether all sources have spoken, and the sync loop has acted on what they said first.
///
/// Until then nobody knows what is wanted, so that nothing may be taken for unwanted: whatever
/// deletes pods, or cleans up after them, asks this first.
///
/// A cheap handle; clones agree.
#[derive(Clone, Debug)]
pub struct SourcesReady {
    silent: Arc<Mutex<BTreeSet<PodSource>>>,
}

impl SourcesReady {
    /// None of these sources has spoken.
    pub fn awaiting(sources: impl IntoIterator<Item = PodSource>) -> Self {
        let silent = sources.into_iter().collect();
        Self {
            silent: Arc::new(Mutex::new(silent)),
        }
    }

    /// Says that the first update of `source` has been acted on.
    pub fn mark(&self, source: PodSource) {
        self.silent.lock().remove(&source);
    }

    /// Whether all have spoken.
    pub fn all(&self) -> bool {
        self.silent.lock().is_empty()
    }
}
