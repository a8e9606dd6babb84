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

/// How much a log remembers. At least the newest change is always there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many changes.
    pub(crate) changes: usize,
    /// How many bytes of JSON the versions may have that were replaced.
    pub(crate) bytes: usize,
}

/// A bounded log of changes, oldest first.
///
/// Invariants: revisions rise strictly; every change after `dropped` is in the log; `bytes` is the
/// sum of what the events in the log replaced.
#[derive(Debug)]
pub(crate) struct Log {
    events: VecDeque<Arc<Event>>,
    bounds: Bounds,
    bytes: usize,
    /// The newest revision that a change was dropped of; 0 if none was.
    dropped: u64,
    /// The newest revision that the server was told to forget.
    compacted: u64,
}

impl Event {
    /// How many bytes of JSON the version has that this change replaced.
    fn replaced(&self) -> usize {
        self.change.before().map_or(0, |before| before.size())
    }
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
    /// An empty log that keeps the newest changes within `bounds`.
    pub(crate) fn new(bounds: Bounds, compacted: u64) -> Self {
        Self {
            events: VecDeque::new(),
            bounds,
            bytes: 0,
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
        self.bytes += event.replaced();
        self.events.push_back(Arc::new(event));
        while self.events.len() > 1
            && (self.events.len() > self.bounds.changes || self.bytes > self.bounds.bytes)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.replaced();
            self.dropped = oldest.revision;
        }
    }

    /// Forgets all changes up to `revision`, and that there ever was anything before it.
    pub(crate) fn compact(&mut self, revision: u64) {
        self.compacted = self.compacted.max(revision);
        while self
            .events
            .front()
            .is_some_and(|oldest| oldest.revision <= revision)
        {
            self.drop_oldest();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Key;

    fn object(revision: u64, size: usize) -> Arc<Stored> {
        let value = json!({ "metadata": {}, "data": "x".repeat(size) });
        Arc::new(Stored::new(Key::new("", "a"), revision, value))
    }

    /// A log of one object that is written again and again, with `size` bytes of data.
    fn log(bounds: Bounds, writes: u64, size: usize) -> Log {
        let mut log = Log::new(bounds, 0);
        let mut before = object(1, size);
        for revision in 2..2 + writes {
            let after = object(revision, size);
            let change = Change::Modified {
                before: std::mem::replace(&mut before, Arc::clone(&after)),
                after,
            };
            log.push(Event { revision, change });
        }
        log
    }

    #[test]
    fn large_objects_are_remembered_for_fewer_changes() {
        let bounds = Bounds {
            changes: 100,
            bytes: 10_000,
        };
        assert_eq!(log(bounds, 50, 10).events.len(), 50);
        assert_eq!(log(bounds, 200, 10).events.len(), 100);
        let large = log(bounds, 200, 970);
        assert_eq!(large.events.len(), 10_000 / object(1, 970).size());
        assert_eq!(large.after(200).unwrap().count(), 1);
        assert!(large.after(100).is_err());
        assert_eq!(
            log(bounds, 5, 20_000).events.len(),
            1,
            "the newest at least"
        );
    }

    #[test]
    fn new_objects_weigh_nothing() {
        let bounds = Bounds {
            changes: 100,
            bytes: 10_000,
        };
        let mut log = Log::new(bounds, 0);
        for revision in 2..52 {
            let change = Change::Added(object(revision, 1000));
            log.push(Event { revision, change });
        }
        assert_eq!(log.events.len(), 50);
        log.compact(51);
        assert_eq!((log.events.len(), log.bytes), (0, 0));
    }
}
