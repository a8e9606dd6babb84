//! Which events concern a controller.

use std::fmt;
use std::sync::Arc;

use kubewright_cache::Metadata;
use kubewright_informer::{Event, Object};

use crate::annotations;

/// Decides which events of a source reach the controller.
///
/// It sees the whole event, old and new state of an update included.
/// The predicates made here look at metadata only, so they decode no object.
///
/// A predicate spares reconciles; it makes no cache smaller.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::apps::v1::ReplicaSet;
/// use kubewright_controller::Predicate;
///
/// let spec_or_labels: Predicate<ReplicaSet> =
///     Predicate::generation_changed().or(Predicate::labels_changed());
/// ```
///
/// Answers to controller-runtime's `predicate` package.
pub struct Predicate<K> {
    admits: Arc<Admits<K>>,
}

type Admits<K> = dyn Fn(&Event<K>) -> bool + Send + Sync;

impl<K: 'static> Predicate<K> {
    /// Admits the events of which `admits` says so.
    pub fn new(admits: impl Fn(&Event<K>) -> bool + Send + Sync + 'static) -> Self {
        Self {
            admits: Arc::new(admits),
        }
    }

    /// Admits events of objects of which `admits` says so; of an update, the new state decides.
    pub fn matching(admits: impl Fn(&Metadata) -> bool + Send + Sync + 'static) -> Self {
        Self::new(move |event| admits(event.object().meta()))
    }

    /// Admits updates of which `admits` says so, and all additions and deletions.
    pub fn updates(
        admits: impl Fn(&Object<K>, &Object<K>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |event| match event {
            Event::Updated { old, new } => admits(old, new),
            Event::Added { .. } | Event::Deleted { .. } => true,
        })
    }

    /// Drops updates that change nothing, as resyncs are.
    pub fn resource_version_changed() -> Self {
        Self::updates(|old, new| old.meta().resource_version() != new.meta().resource_version())
    }

    /// Drops updates that leave the desired state as it was.
    ///
    /// For kinds whose `metadata.generation` counts changes of the spec, as custom resources with a
    /// status subresource do. Updates of kinds without a generation are all dropped.
    pub fn generation_changed() -> Self {
        Self::updates(|old, new| old.meta().generation() != new.meta().generation())
    }

    /// Drops updates that leave the labels as they were.
    pub fn labels_changed() -> Self {
        Self::updates(|old, new| old.meta().labels() != new.meta().labels())
    }

    /// Drops updates that leave the annotations as they were.
    ///
    /// Annotations are not kept parsed: this reads them from both bodies, without decoding the
    /// objects.
    pub fn annotations_changed() -> Self {
        Self::updates(|old, new| {
            !old.same_version(new) && annotations::of(&old.body()) != annotations::of(&new.body())
        })
    }

    /// Admits what both admit.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(move |event| self.admits(event) && other.admits(event))
    }

    /// Admits what either admits.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::new(move |event| self.admits(event) || other.admits(event))
    }

    /// Admits what this one does not.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "it reads as `and` and `or` do"
    )]
    pub fn not(self) -> Self {
        Self::new(move |event| !self.admits(event))
    }

    /// Whether an event is admitted.
    pub fn admits(&self, event: &Event<K>) -> bool {
        (self.admits)(event)
    }
}

impl<K> Clone for Predicate<K> {
    fn clone(&self) -> Self {
        Self {
            admits: Arc::clone(&self.admits),
        }
    }
}

impl<K> fmt::Debug for Predicate<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predicate").finish_non_exhaustive()
    }
}
