//! A list of tasks that wait for something, told one by one.

use std::collections::BTreeMap;
use std::task::Waker;

/// A place in the list, until it is given up.
pub(crate) type Seat = u64;

/// Tasks in the order in which they came; some of them have been notified and have not looked yet.
///
/// A notified task keeps its seat until it has looked, so that the list knows how many are on their way.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<Seat, Waker>,
    notified: usize,
    next_seat: Seat,
}

impl Waiters {
    /// All seats taken, by tasks notified or not.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.notified
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some task was not notified.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn notified(&self) -> usize {
        self.notified
    }

    /// Waits on: keeps the seat of a task that was not notified, else takes a new one at the end.
    ///
    /// Returns a waker to drop. Dropping one may run a task's destructor, so the caller first lets
    /// go of its lock.
    pub(crate) fn wait(&mut self, seat: &mut Option<Seat>, waker: &Waker) -> Option<Waker> {
        if let Some(known) = seat.and_then(|seat| self.waiting.get_mut(&seat)) {
            let other_task = !known.will_wake(waker);
            return other_task.then(|| std::mem::replace(known, waker.clone()));
        }
        self.leave(seat);
        self.waiting.insert(self.next_seat, waker.clone());
        *seat = Some(self.next_seat);
        self.next_seat += 1;
        None
    }

    /// Gives the seat up. Returns a waker to drop, as [`wait`](Self::wait) does.
    pub(crate) fn leave(&mut self, seat: &mut Option<Seat>) -> Option<Waker> {
        let waker = self.waiting.remove(&seat.take()?);
        if waker.is_none() {
            self.notified -= 1;
        }
        waker
    }

    /// Notifies whoever has waited longest, but `spared` only if there is nobody else.
    pub(crate) fn notify_next(&mut self, spared: Option<Seat>) -> Option<Waker> {
        let mut seats = self.waiting.keys().copied();
        let first = seats.next()?;
        let chosen = if Some(first) == spared {
            seats.next().unwrap_or(first)
        } else {
            first
        };
        self.notify(chosen)
    }

    /// Notifies the task in that seat, unless it was notified before.
    pub(crate) fn notify(&mut self, seat: Seat) -> Option<Waker> {
        let waker = self.waiting.remove(&seat)?;
        self.notified += 1;
        Some(waker)
    }
}
