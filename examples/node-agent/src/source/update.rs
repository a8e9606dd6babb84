use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::PodSource;

/// What has changed in what one source wants.
#[derive(Clone, Debug, PartialEq)]
pub struct PodUpdate {
    /// How the pods have changed.
    pub operation: Operation,
    /// Whose pods they are.
    pub source: PodSource,
    /// The pods, as they are now; of removed ones, as they were.
    ///
    /// Empty in the [`Operation::Add`] of a source that wants nothing at first: it says that the
    /// source has spoken.
    pub pods: Vec<Arc<Pod>>,
}

/// How pods have changed.
///
/// The order is that in which the updates of one set arrive, but that the addition of nothing comes
/// last but [`Operation::Reconcile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// The source does not know them any more.
    Remove,
    /// They are new.
    Add,
    /// Their spec, labels, annotations or way of deletion changed.
    Update,
    /// They changed, and are to be deleted in their own time.
    Delete,
    /// Only their status differs from what was known of it.
    Reconcile,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remove => "REMOVE",
            Self::Add => "ADD",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Reconcile => "RECONCILE",
        })
    }
}
