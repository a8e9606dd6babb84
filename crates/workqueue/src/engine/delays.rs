//! The delay heap: at most one deadline per key and lane, of which the earlier wins.

use tokio::time::Instant;

use super::entries::Id;

/// Why a key waits for a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// `add_after`: the key runs at the deadline.
    Later,
    /// `add_rate_limited`: the key joins the line for tokens at the deadline.
    Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    /// Deadlines of one instant are met in the order in which they were set.
    seq: u64,
    pub(super) id: Id,
    pub(super) lane: Lane,
}

impl Deadline {
    fn is_before(&self, other: &Self) -> bool {
        (self.at, self.seq) < (other.at, other.seq)
    }
}

/// A binary heap that knows where in it each key's deadlines stand, so that it holds no stale ones.
#[derive(Debug, Default)]
pub(super) struct Delays {
    heap: Vec<Deadline>,
    /// Per id and lane: the place in `heap`, or `ABSENT`.
    places: Vec<[u32; 2]>,
    next_seq: u64,
}

const ABSENT: u32 = u32::MAX;

impl Delays {
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn next(&self) -> Option<&Deadline> {
        self.heap.first()
    }

    pub(super) fn holds(&self, id: Id) -> bool {
        self.place(id, Lane::Later)
            .or(self.place(id, Lane::Retry))
            .is_some()
    }

    /// Sets a deadline, unless an earlier one stands already.
    pub(super) fn set(&mut self, id: Id, lane: Lane, at: Instant) {
        if let Some(place) = self.place(id, lane) {
            if self.heap[place].at <= at {
                return;
            }
            self.remove(place);
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        self.heap.push(Deadline { at, seq, id, lane });
        self.rise(self.heap.len() - 1);
    }

    pub(super) fn cancel(&mut self, id: Id, lane: Lane) {
        if let Some(place) = self.place(id, lane) {
            self.remove(place);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Deadline> {
        (!self.is_empty()).then(|| self.remove(0))
    }

    /// Gives the memory of past ids back. There is no deadline then.
    pub(super) fn release(&mut self) {
        debug_assert!(self.is_empty(), "a deadline keeps its entry");
        self.heap = Vec::new();
        self.places = Vec::new();
    }

    fn place(&self, id: Id, lane: Lane) -> Option<usize> {
        let place = self.places.get(id.index())?[lane as usize];
        (place != ABSENT).then_some(place as usize)
    }

    fn remove(&mut self, place: usize) -> Deadline {
        let gone = self.heap.swap_remove(place);
        self.places[gone.id.index()][gone.lane as usize] = ABSENT;
        if place < self.heap.len() {
            let place = self.sink(place);
            self.rise(place);
        }
        gone
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.heap[place].is_before(&self.heap[parent]) {
                break;
            }
            self.heap.swap(place, parent);
            self.note(place);
            place = parent;
        }
        self.note(place);
    }

    fn sink(&mut self, mut place: usize) -> usize {
        loop {
            let left = 2 * place + 1;
            let children = left..self.heap.len().min(left + 2);
            let Some(least) = children.reduce(|a, b| {
                if self.heap[b].is_before(&self.heap[a]) {
                    b
                } else {
                    a
                }
            }) else {
                break;
            };
            if !self.heap[least].is_before(&self.heap[place]) {
                break;
            }
            self.heap.swap(place, least);
            self.note(place);
            place = least;
        }
        self.note(place);
        place
    }

    fn note(&mut self, place: usize) {
        let Deadline { id, lane, .. } = self.heap[place];
        if self.places.len() <= id.index() {
            self.places.resize(id.index() + 1, [ABSENT; 2]);
        }
        self.places[id.index()][lane as usize] =
            u32::try_from(place).expect("fewer than 2^32 keys are delayed");
    }
}
