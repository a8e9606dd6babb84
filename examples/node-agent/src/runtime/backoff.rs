use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// No delay is longer: nobody waits for a century.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long keys wait from failure to failure: twice as long each time, up to a limit.
///
/// A key whose last failure is further away than twice the limit is forgotten.
/// Synchronous: it keeps no clock and never waits. Its times are those of a clock that nobody sets.
/// Answers to client-go's `flowcontrol.Backoff`.
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
    updated_at: Instant,
}

impl<K: Eq + Hash> Backoff<K> {
    /// Delays that begin at `initial` and double until `max`, which is a year at most; an `initial`
    /// above `max` is `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        let max = max.min(LONGEST);
        Self {
            initial: initial.min(max),
            max,
            entries: HashMap::new(),
        }
    }

    /// Counts a failure that happened at `event`, at `now`, and returns the new delay.
    pub fn fail(&mut self, key: K, event: Instant, now: Instant) -> Duration {
        let before = self.delay(&key, event);
        let delay = before.map_or(self.initial, |delay| delay.saturating_mul(2).min(self.max));
        let updated_at = now;
        self.entries.insert(key, Entry { delay, updated_at });
        delay
    }

    /// Takes over what somebody else has counted of a key, at `updated_at`.
    pub fn adopt(&mut self, key: K, delay: Duration, updated_at: Instant) {
        let delay = delay.min(self.max);
        self.entries.insert(key, Entry { delay, updated_at });
    }

    /// When a failure of a key was counted last, if it is remembered.
    pub fn updated_at(&self, key: &K) -> Option<Instant> {
        self.entries.get(key).map(|entry| entry.updated_at)
    }

    /// The delay of a key after an event, if it has one that was not forgotten.
    pub fn delay(&self, key: &K, event: Instant) -> Option<Duration> {
        self.fresh(key, event).map(|entry| entry.delay)
    }

    /// When a key that failed at `event` may go on; `None` if it may at `now`.
    pub fn expiry_since(&self, key: &K, event: Instant, now: Instant) -> Option<Instant> {
        let expiry = event + self.fresh(key, event)?.delay;
        (expiry > now).then_some(expiry)
    }

    /// When a key may go on after its last counted failure; `None` if it may at `now`.
    pub fn expiry_since_update(&self, key: &K, now: Instant) -> Option<Instant> {
        self.expiry_since(key, self.updated_at(key)?, now)
    }

    /// Forgets a key: its next failure is its first.
    pub fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Drops what has no say in any delay any more: one counts for events until twice the limit, and
    /// then for as long as its delay may last.
    pub fn collect_garbage(&mut self, now: Instant) {
        let end = self.horizon() + self.max;
        let entries = &mut self.entries;
        entries.retain(|_, entry| now.duration_since(entry.updated_at) <= end);
    }

    /// Whether anything is known of a key.
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long after a failure the next one counts as one in a row with it.
    pub fn horizon(&self) -> Duration {
        self.max * 2
    }

    fn fresh(&self, key: &K, at: Instant) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        // An event of before the last failure is none that was long after it.
        (at.saturating_duration_since(entry.updated_at) <= self.horizon()).then_some(entry)
    }
}
