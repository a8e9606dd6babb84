//! Keys whose reconcile is put off until a store has caught up with the controller's own writes.

#[cfg(test)]
mod model;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use hashbrown::HashMap;
use kubewright_cache::ResourceVersion;
use kubewright_informer::ObjectKey;
use kubewright_workqueue::Cause;
use tokio::time::Instant;

use crate::Triggers;

/// Who waits for which version of which store. A synchronous state machine.
///
/// A key waits for one version of one store at a time; once woken it is looked at anew.
#[derive(Debug, Default)]
pub(crate) struct Deferrals {
    waiting: HashMap<ObjectKey, Deferred>,
    /// Per store, those that wait for it, the oldest version first. Entries whose serial is not that
    /// of `waiting` are of a wait that is over.
    by_version: Vec<BinaryHeap<Waiter>>,
    /// By limit and serial. Holds exactly the waits of `waiting`.
    by_limit: BTreeMap<(Instant, u64), ObjectKey>,
    serial: u64,
}

#[derive(Debug)]
struct Deferred {
    triggers: Triggers,
    limit: Instant,
    serial: u64,
    /// What it waits for.
    nth: usize,
    version: ResourceVersion,
}

#[derive(Debug)]
struct Waiter {
    version: ResourceVersion,
    serial: u64,
    key: ObjectKey,
}

/// A key that is to be queued again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Woken {
    pub(crate) key: ObjectKey,
    pub(crate) triggers: Triggers,
}

impl Deferrals {
    /// Puts a key off until the `nth` store shows `version`, or until `limit`.
    ///
    /// The limit of a key that is put off already stands.
    pub(crate) fn defer(
        &mut self,
        key: &ObjectKey,
        triggers: Triggers,
        nth: usize,
        version: &ResourceVersion,
        limit: Instant,
    ) {
        if let Some(same) = self.waiting.get_mut(key)
            && (same.nth, &same.version) == (nth, version)
        {
            same.triggers.merge(triggers);
            return;
        }
        let mut deferred = Deferred {
            triggers,
            limit,
            serial: self.serial,
            nth,
            version: version.clone(),
        };
        self.serial += 1;
        if let Some(mut before) = self.remove(key) {
            before.triggers.merge(triggers);
            deferred.triggers = before.triggers;
            deferred.limit = before.limit.min(limit);
        }
        if self.by_version.len() <= nth {
            self.by_version.resize_with(nth + 1, BinaryHeap::new);
        }
        self.by_version[nth].push(Waiter {
            version: version.clone(),
            serial: deferred.serial,
            key: key.clone(),
        });
        self.by_limit
            .insert((deferred.limit, deferred.serial), key.clone());
        self.waiting.insert(key.clone(), deferred);
    }

    /// Wakes those that waited for the `nth` store to come this far.
    pub(crate) fn reached(&mut self, nth: usize, version: &ResourceVersion) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some(waiter) = self.pop_ripe(nth, version) {
            if self.is_current(&waiter) {
                woken.extend(self.wake(waiter.key));
            }
        }
        woken
    }

    /// Wakes those whose limit is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some(((limit, _), key)) = self.by_limit.first_key_value()
            && *limit <= now
        {
            let key = key.clone();
            woken.extend(self.wake(key));
        }
        woken
    }

    /// When the next limit is over.
    pub(crate) fn next_limit(&self) -> Option<Instant> {
        self.by_limit
            .first_key_value()
            .map(|((limit, _), _)| *limit)
    }

    /// The next wait for a store that is over, be it because the store came this far.
    fn pop_ripe(&mut self, nth: usize, version: &ResourceVersion) -> Option<Waiter> {
        let next = self.by_version.get(nth)?.peek()?;
        // A version that does not compare any more holds nothing up.
        let is_ahead = next.version.compare(version).is_some_and(Ordering::is_gt);
        if is_ahead && self.is_current(next) {
            return None;
        }
        self.by_version[nth].pop()
    }

    fn is_current(&self, waiter: &Waiter) -> bool {
        let deferred = self.waiting.get(&waiter.key);
        deferred.is_some_and(|deferred| deferred.serial == waiter.serial)
    }

    fn wake(&mut self, key: ObjectKey) -> Option<Woken> {
        let Deferred { triggers, .. } = self.remove(&key)?;
        Some(Woken { key, triggers })
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Deferred> {
        let deferred = self.waiting.remove(key)?;
        self.by_limit.remove(&(deferred.limit, deferred.serial));
        Some(deferred)
    }
}

/// `limit` from now, or a time that nobody will see.
pub(crate) fn limit(now: Instant, limit: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now + limit.min(THIRTY_YEARS)
}

impl Ord for Waiter {
    /// The oldest version is the greatest, as heaps show that first.
    fn cmp(&self, other: &Self) -> Ordering {
        // All of a heap are integers: others are never behind.
        let by_version = other.version.compare(&self.version);
        by_version
            .unwrap_or(Ordering::Equal)
            .then(other.serial.cmp(&self.serial))
    }
}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiter {}
