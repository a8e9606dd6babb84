//! Expectations that know which deletions are expected.

use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use kubewright_informer::ObjectKey;
use parking_lot::Mutex;

use super::{Expectations, Pending};

/// [`Expectations`] that know which objects are expected to go, and count each of them once.
///
/// A deletion is seen twice where deletion is graceful: as an update that sets the deletion
/// timestamp, and as the end of the object.
///
/// # Example
///
/// ```
/// use kubewright_controller::UidTrackingExpectations;
/// use kubewright_informer::ObjectKey;
///
/// let expectations = UidTrackingExpectations::default();
/// let web = ObjectKey::namespaced("default", "web");
/// let pods = ["web-0", "web-1"].map(|name| ObjectKey::namespaced("default", name));
/// expectations.expect_deletions(&web, pods.clone());
/// expectations.deletion_observed(&web, &pods[0]);
/// expectations.deletion_observed(&web, &pods[0]);
/// assert!(!expectations.satisfied(&web));
/// expectations.deletion_observed(&web, &pods[1]);
/// assert!(expectations.satisfied(&web));
/// ```
///
/// Answers to `UIDTrackingControllerExpectations` of kube-controller-manager 1.36, which in spite of
/// its name tracks keys.
#[derive(Debug, Default)]
pub struct UidTrackingExpectations {
    counts: Expectations,
    /// What of the expected deletions was not seen. Locked before `counts`.
    leaving: Mutex<HashMap<ObjectKey, HashSet<ObjectKey>>>,
}

impl UidTrackingExpectations {
    /// No expectations; those to come are given up after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self {
            counts: Expectations::new(timeout),
            leaving: Mutex::default(),
        }
    }

    /// Expects so many creations and no deletion.
    pub fn expect_creations(&self, key: &ObjectKey, creations: usize) {
        self.counts.expect_creations(key, creations);
    }

    /// Expects these objects to go, and no creation.
    pub fn expect_deletions(&self, key: &ObjectKey, leaving: impl IntoIterator<Item = ObjectKey>) {
        let objects: HashSet<_> = leaving.into_iter().collect();
        let mut leaving = self.leaving.lock();
        self.counts.expect_deletions(key, objects.len());
        leaving.insert(key.clone(), objects);
    }

    /// Expects less than before: it was seen, or will not come.
    pub fn lower(&self, key: &ObjectKey, by: Pending) {
        self.counts.lower(key, by);
    }

    /// A creation was seen, or failed.
    pub fn creation_observed(&self, key: &ObjectKey) {
        self.counts.creation_observed(key);
    }

    /// The deletion of `object` was seen, or failed; counts the first time only.
    pub fn deletion_observed(&self, key: &ObjectKey, object: &ObjectKey) {
        let mut leaving = self.leaving.lock();
        if leaving
            .get_mut(key)
            .is_some_and(|objects| objects.remove(object))
        {
            self.counts.deletion_observed(key);
        }
    }

    /// Whether `key` may act: all was seen, nothing is expected, or it has been too long.
    pub fn satisfied(&self, key: &ObjectKey) -> bool {
        self.counts.satisfied(key)
    }

    /// What is still expected for `key`; `None` if nothing was set.
    pub fn pending(&self, key: &ObjectKey) -> Option<Pending> {
        self.counts.pending(key)
    }

    /// Which objects are still expected to go.
    pub fn leaving(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        let leaving = self.leaving.lock();
        let mut objects: Vec<_> = leaving.get(key).into_iter().flatten().cloned().collect();
        objects.sort_unstable();
        objects
    }

    /// Expects nothing more for `key`; to be called when its object is gone.
    pub fn forget(&self, key: &ObjectKey) {
        let mut leaving = self.leaving.lock();
        self.counts.forget(key);
        leaving.remove(key);
    }
}
