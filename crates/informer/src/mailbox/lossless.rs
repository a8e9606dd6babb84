//! Every event, with a bound that the sender is asked to respect.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use kubewright_cache::Event;
use tokio::time::Instant;

use super::coalescing::SPARE_PLACES;
use super::{Posted, Taken, initial_additions};

/// All events in the order of their arrival.
///
/// Nothing is refused: whoever posts looks at [`Lossless::is_full`] before the next batch.
#[derive(Debug)]
pub(super) struct Lossless<K> {
    line: VecDeque<Taken<K>>,
    capacity: NonZeroUsize,
    /// How many events in `line` count against the capacity: all but initial additions, of which
    /// there are no more than live objects.
    counted: usize,
}

impl<K> Lossless<K> {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            line: VecDeque::new(),
            capacity,
            counted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    pub(super) fn is_full(&self) -> bool {
        self.counted >= self.capacity.get()
    }

    pub(super) fn push(&mut self, event: Event<K>, now: Instant) -> Posted {
        self.counted += 1 - initial_additions(&event);
        self.line.push_back(Taken { event, since: now });
        Posted::Queued
    }

    pub(super) fn pop(&mut self) -> Option<Taken<K>> {
        let taken = self.line.pop_front()?;
        self.counted -= 1 - initial_additions(&taken.event);
        if self.line.is_empty() {
            self.line.shrink_to(SPARE_PLACES);
        }
        Some(taken)
    }
}
