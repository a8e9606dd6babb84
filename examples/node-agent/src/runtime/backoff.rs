use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long keys wait from failure to failure: twice as long each time, up to a limit.
///
/// A key whose last failure is further away than twice the limit is forgotten, and so is one that
/// was counted at a time that is yet to come: the clock was set back, and nobody is to wait for it to
/// come round again. An event that is yet to come by the clock here counts from when it was counted.
/// Synchronous: it keeps no clock and never waits. Answers to client-go's `flowcontrol.Backoff`.
#[derive(Clone, Debug)]
pub struct Backoff<K> {
    initial: Duration,
    max: Duration,
    entries: HashMap<K, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Never more than the limit.
    delay: Duration,
    updated_at: Timestamp,
}

impl<K: Eq + Hash> Backoff<K> {
    /// Delays that begin at `initial` and double until `max`; an `initial` above `max` is `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial: initial.min(max),
            max,
            entries: HashMap::new(),
        }
    }

    /// Counts a failure that happened at `event`, at `now`, and returns the new delay.
    pub fn fail(&mut self, key: K, event: Timestamp, now: Timestamp) -> Duration {
        let before = self.fresh(&key, event.min(now), now);
        let before = before.map(|entry| entry.delay);
        let delay = before.map_or(self.initial, |delay| delay.saturating_mul(2).min(self.max));
        let updated_at = now;
        self.entries.insert(key, Entry { delay, updated_at });
        delay
    }

    /// The delay of a key after an event, if it has one that was not forgotten.
    pub fn delay(&self, key: &K, event: Timestamp, now: Timestamp) -> Option<Duration> {
        self.fresh(key, event.min(now), now)
            .map(|entry| entry.delay)
    }

    /// When a key that failed at `event` may go on; `None` if it may at `now`.
    pub fn expiry_since(&self, key: &K, event: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let entry = self.fresh(key, event.min(now), now)?;
        let event = if event > now { entry.updated_at } else { event };
        let expiry = later(event, entry.delay);
        (expiry > now).then_some(expiry)
    }

    /// When a key may go on after its last counted failure; `None` if it may at `now`.
    pub fn expiry_since_update(&self, key: &K, now: Timestamp) -> Option<Timestamp> {
        let entry = self.fresh(key, now, now)?;
        let expiry = later(entry.updated_at, entry.delay);
        (expiry > now).then_some(expiry)
    }

    /// Forgets a key: its next failure is its first.
    pub fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Drops what would be forgotten anyway.
    pub fn collect_garbage(&mut self, now: Timestamp) {
        let horizon = self.horizon();
        self.entries.retain(|_, entry| {
            entry.updated_at <= now && now.duration_since(entry.updated_at) <= horizon
        });
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn fresh(&self, key: &K, at: Timestamp, now: Timestamp) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        if entry.updated_at > now {
            return None;
        }
        (at.duration_since(entry.updated_at) <= self.horizon()).then_some(entry)
    }

    fn horizon(&self) -> SignedDuration {
        signed(self.max.saturating_mul(2))
    }
}

fn later(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(signed(delay)).unwrap_or(Timestamp::MAX)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
