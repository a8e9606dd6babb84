//! What a controller expects to see because it did it.

mod uid_tracking;

use std::fmt;
use std::time::Duration;

use hashbrown::HashMap;
use kubewright_informer::ObjectKey;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use uid_tracking::UidTrackingExpectations;

/// Counts the creations and deletions that a controller has asked for and not yet seen.
///
/// A controller that scales sets what it expects before it acts, its event mappers lower that for
/// everything they see, and it does not scale again before its expectations are
/// [satisfied](Self::satisfied).
/// So it does not create again what it has just created.
///
/// # Guarantees
///
/// - Expectations are satisfied once as many creations and deletions were observed as expected, when
///   there are none, and when they are older than the timeout: an observation that was missed cannot
///   block a key for ever.
/// - Setting replaces. Observing only ever lowers; more observations than expected do no harm.
///
/// # Example
///
/// ```
/// use kubewright_controller::Expectations;
/// use kubewright_informer::ObjectKey;
///
/// let expectations = Expectations::default();
/// let web = ObjectKey::namespaced("default", "web");
/// expectations.expect_creations(&web, 2);
/// expectations.creation_observed(&web);
/// assert!(!expectations.satisfied(&web));
/// expectations.creation_observed(&web);
/// assert!(expectations.satisfied(&web));
/// ```
///
/// Answers to `ControllerExpectations` of kube-controller-manager 1.36.
pub struct Expectations {
    records: Mutex<HashMap<ObjectKey, Record>>,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    pending: Pending,
    since: Instant,
}

/// What is still expected for one key; below zero if more was seen than expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Creations.
    pub creations: i64,
    /// Deletions.
    pub deletions: i64,
}

impl Pending {
    /// So many creations and deletions.
    pub const fn new(creations: i64, deletions: i64) -> Self {
        Self {
            creations,
            deletions,
        }
    }

    const fn is_met(self) -> bool {
        self.creations <= 0 && self.deletions <= 0
    }
}

impl Expectations {
    /// No expectations; those to come are given up after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self {
            records: Mutex::default(),
            timeout,
        }
    }

    /// Sets what is expected for `key`, in the place of what was.
    pub fn expect(&self, key: &ObjectKey, pending: Pending) {
        let since = Instant::now();
        self.records
            .lock()
            .insert(key.clone(), Record { pending, since });
    }

    /// Expects so many creations and no deletion.
    pub fn expect_creations(&self, key: &ObjectKey, creations: usize) {
        self.expect(key, Pending::new(count(creations), 0));
    }

    /// Expects so many deletions and no creation.
    pub fn expect_deletions(&self, key: &ObjectKey, deletions: usize) {
        self.expect(key, Pending::new(0, count(deletions)));
    }

    /// Expects more than before, if anything was expected at all.
    pub fn raise(&self, key: &ObjectKey, by: Pending) {
        self.lower(key, Pending::new(-by.creations, -by.deletions));
    }

    /// Expects less than before, if anything was expected at all: it was seen, or will not come.
    pub fn lower(&self, key: &ObjectKey, by: Pending) {
        if let Some(record) = self.records.lock().get_mut(key) {
            record.pending.creations -= by.creations;
            record.pending.deletions -= by.deletions;
        }
    }

    /// A creation was seen, or failed.
    pub fn creation_observed(&self, key: &ObjectKey) {
        self.lower(key, Pending::new(1, 0));
    }

    /// A deletion was seen, or failed.
    pub fn deletion_observed(&self, key: &ObjectKey) {
        self.lower(key, Pending::new(0, 1));
    }

    /// Whether `key` may act: all was seen, nothing is expected, or it has been too long.
    pub fn satisfied(&self, key: &ObjectKey) -> bool {
        let records = self.records.lock();
        let Some(record) = records.get(key) else {
            return true;
        };
        record.pending.is_met() || record.since.elapsed() > self.timeout
    }

    /// What is still expected for `key`; `None` if nothing was set.
    pub fn pending(&self, key: &ObjectKey) -> Option<Pending> {
        self.records.lock().get(key).map(|record| record.pending)
    }

    /// Expects nothing more for `key`; to be called when its object is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.records.lock().remove(key);
    }
}

impl Default for Expectations {
    /// A timeout of 5 min, as upstream's.
    fn default() -> Self {
        Self::new(Duration::from_secs(5 * 60))
    }
}

impl fmt::Debug for Expectations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records.lock();
        let pending = records.iter().map(|(key, record)| (key, record.pending));
        f.debug_map().entries(pending).finish()
    }
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
