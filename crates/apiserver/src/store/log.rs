//! What happened to the objects of one resource, as far back as is remembered.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::store::Stored;

/// One committed change.
#[derive(Debug)]
pub(crate) struct Event {
    /// The resource version of the change.
    pub(crate) revision: u64,
    pub(crate) change: Change,
}

/// What changed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Added(Arc<Stored>),
    Modified {
        before: Arc<Stored>,
        after: Arc<Stored>,
    },
    /// With the last state of the object.
    Deleted(Arc<Stored>),
}

/// What is asked for lies further back than the log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOld {
    /// The oldest revision that the log still reaches back to.
    pub(crate) oldest: u64,
}

/// A bounded log of changes, oldest first.
///
/// Invariants: revisions rise strictly; every change after `oldest` is in the log.
#[derive(Debug)]
pub(crate) struct Log {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    /// The newest revision that a change was dropped of; 0 if none was.
    dropped: u64,
    /// The newest revision that the server was told to forget.
    compacted: u64,
}

impl Change {
    /// The state before the change.
    pub(crate) fn before(&self) -> Option<&Arc<Stored>> {
        match self {
            Self::Added(_) => None,
            Self::Modified { before, .. } | Self::Deleted(before) => Some(before),
        }
    }

    /// The state after the change.
    pub(crate) fn after(&self) -> Option<&Arc<Stored>> {
        match self {
            Self::Added(after) | Self::Modified { after, .. } => Some(after),
            Self::Deleted(_) => None,
        }
    }
}

impl Log {
    /// An empty log that keeps the newest `capacity` changes.
    pub(crate) fn new(capacity: usize, compacted: u64) -> Self {
        Self {
            events: VecDeque::new(),
            capacity,
            dropped: 0,
            compacted,
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        debug_assert!(
            self.events
                .back()
                .is_none_or(|last| last.revision < event.revision),
            "revisions rise"
        );
        if self.events.len() >= self.capacity
            && let Some(oldest) = self.events.pop_front()
        {
            self.dropped = oldest.revision;
        }
        self.events.push_back(Arc::new(event));
    }

    /// Forgets all changes up to `revision`, and that there ever was anything before it.
    pub(crate) fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision);
        let gone = self
            .events
            .partition_point(|event| event.revision <= revision);
        if let Some(last) = self.events.drain(..gone).next_back() {
            self.dropped = last.revision;
        }
    }

    /// Refuses a place to start from that a client cannot know to be complete.
    ///
    /// Stricter than [`Log::after`]: what was compacted is refused even if nothing happened there.
    pub(crate) fn check_start(&self, revision: u64) -> Result<(), TooOld> {
        let oldest = self.dropped.max(self.compacted);
        if revision < oldest {
            return Err(TooOld { oldest });
        }
        Ok(())
    }

    /// The changes after `revision`, oldest first.
    ///
    /// # Errors
    ///
    /// If some of them were dropped.
    pub(crate) fn after(
        &self,
        revision: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Arc<Event>>, TooOld> {
        if revision < self.dropped {
            return Err(TooOld {
                oldest: self.dropped,
            });
        }
        let start = self
            .events
            .partition_point(|event| event.revision <= revision);
        Ok(self.events.range(start..))
    }
}
