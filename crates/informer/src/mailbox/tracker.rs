//! When a handler is in sync.

/// Tells when a handler has *handled*, not merely been sent, all that the source began with.
///
/// Answers to client-go's `synctrack`.
#[derive(Debug, Default)]
pub(super) struct SyncTracker {
    /// Whether all initial additions have been announced by [`SyncTracker::expect`].
    source_synced: bool,
    /// How many announced additions are not settled.
    outstanding: usize,
}

impl SyncTracker {
    /// So many initial additions are on their way to the handler.
    pub(super) fn expect(&mut self, additions: usize) {
        self.outstanding += additions;
    }

    /// So many of them were handled, or turned out not to need handling.
    pub(super) fn settle(&mut self, additions: usize) {
        self.outstanding = self
            .outstanding
            .checked_sub(additions)
            .expect("only what was expected is settled");
    }

    /// No more initial additions follow, except those already expected.
    pub(super) fn source_synced(&mut self) {
        self.source_synced = true;
    }

    pub(super) fn is_synced(&self) -> bool {
        self.source_synced && self.outstanding == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to client-go's `TestBasicLogic` (synctrack).
    #[test]
    fn it_takes_the_source_and_every_addition() {
        // (source synced, expected, settled, in sync)
        for (source, expected, settled, synced) in [
            (false, 0, 0, false),
            (true, 0, 0, true),
            (true, 2, 1, false),
            (true, 2, 2, true),
            (false, 2, 2, false),
        ] {
            let mut tracker = SyncTracker::default();
            tracker.expect(expected);
            if source {
                tracker.source_synced();
            }
            tracker.settle(settled);
            assert_eq!(tracker.is_synced(), synced, "{source} {expected} {settled}");
        }
    }

    /// Answers to client-go's `TestSingleFileCounting`: more is never settled than was expected.
    #[test]
    #[should_panic(expected = "only what was expected")]
    fn settling_too_much_is_a_bug() {
        let mut tracker = SyncTracker::default();
        tracker.expect(1);
        tracker.settle(2);
    }
}
