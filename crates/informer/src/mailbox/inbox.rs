//! What waits for one handler, and what it has handled.

use kubewright_cache::Event;
use tokio::time::Instant;

use super::coalescing::Coalescing;
use super::lossless::Lossless;
use super::tracker::SyncTracker;
use super::{Mailbox, Posted, Taken, initial_additions};

/// The state of a mailbox, without locks, tasks or clock.
#[derive(Debug)]
pub(crate) struct Inbox<K> {
    line: Line<K>,
    tracker: SyncTracker,
    /// Whether the handler has been in sync; it stays so.
    synced: bool,
    open: bool,
    counts: Counts,
}

#[derive(Debug)]
enum Line<K> {
    Coalescing(Coalescing<K>),
    Lossless(Lossless<K>),
}

/// How the handling of an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler returned.
    Returned,
    /// The handler panicked; the event is skipped.
    Panicked,
}

/// What has happened in a mailbox since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Events whose handling ended, by a panic or otherwise.
    pub(crate) handled: u64,
    /// Events that joined one that waited.
    pub(crate) coalesced: u64,
    /// Entries that waited when the mailbox was closed.
    pub(crate) dropped: u64,
    /// Events in whose handling the handler panicked.
    pub(crate) panicked: u64,
}

impl<K> Inbox<K> {
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        Self {
            line: match mailbox {
                Mailbox::Coalescing => Line::Coalescing(Coalescing::new()),
                Mailbox::Lossless { capacity } => Line::Lossless(Lossless::new(capacity)),
            },
            tracker: SyncTracker::default(),
            synced: false,
            open: true,
            counts: Counts::default(),
        }
    }

    /// Takes an event in, unless the mailbox is closed.
    ///
    /// Says whether the handler came to be in sync by it.
    pub(crate) fn post(&mut self, event: Event<K>, now: Instant) -> bool {
        if !self.open {
            return false;
        }
        self.tracker.expect(initial_additions(&event));
        let posted = match &mut self.line {
            Line::Coalescing(line) => line.push(event, now),
            Line::Lossless(line) => line.push(event, now),
        };
        if let Posted::Merged { settled } = posted {
            self.counts.coalesced += 1;
            self.tracker.settle(settled);
        }
        self.comes_to_be_synced()
    }

    /// Hands the next event over; [`Inbox::handled`] is owed for it.
    pub(crate) fn take(&mut self) -> Option<Taken<K>> {
        match &mut self.line {
            Line::Coalescing(line) => line.pop(),
            Line::Lossless(line) => line.pop(),
        }
    }

    /// The handler is done with an event that it took: it returned or panicked.
    ///
    /// Says whether the handler came to be in sync by it.
    pub(crate) fn handled(&mut self, initial_additions: usize, outcome: Outcome) -> bool {
        self.counts.handled += 1;
        self.counts.panicked += u64::from(outcome == Outcome::Panicked);
        self.tracker.settle(initial_additions);
        self.comes_to_be_synced()
    }

    /// Everything that the source's first complete picture holds has been posted.
    ///
    /// Says whether the handler came to be in sync by it.
    pub(crate) fn source_synced(&mut self) -> bool {
        self.tracker.source_synced();
        self.comes_to_be_synced()
    }

    /// Lets nothing in any more, and drops what waits. Says how many entries that were.
    pub(crate) fn close(&mut self) -> usize {
        let dropped = self.len();
        self.counts.dropped += dropped as u64;
        self.open = false;
        match &mut self.line {
            Line::Coalescing(line) => *line = Coalescing::new(),
            Line::Lossless(line) => *line = Lossless::new(line.capacity()),
        }
        dropped
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        match &self.line {
            Line::Coalescing(line) => line.len(),
            Line::Lossless(line) => line.len(),
        }
    }

    /// Whether the sender is to wait before the next batch.
    pub(crate) fn is_full(&self) -> bool {
        match &self.line {
            Line::Coalescing(_) => false,
            Line::Lossless(line) => line.is_full(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn comes_to_be_synced(&mut self) -> bool {
        let before = self.synced;
        self.synced |= self.tracker.is_synced();
        self.synced && !before
    }
}
