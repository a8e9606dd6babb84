use std::fmt;

use kube_client::Error;
use kubewright_cache::ObjectKey;

use crate::event::Answer;
use crate::new_pod::InvalidTemplate;

/// Why a sync ended early; it is tried again, later each time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Pods could not be adopted or released; nothing else was done.
    #[error("{0}")]
    Claim(ClaimErrors),
    /// A pod could not be created.
    #[error("{}", Answer(.0))]
    Create(#[source] Error),
    /// No pod can be made of the template.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// A pod could not be deleted.
    #[error("{}", Answer(.0))]
    Delete(#[source] Error),
    /// The status could not be written.
    #[error("{}", Answer(.0))]
    Status(#[source] Error),
    /// The template's labels cannot be read.
    #[error("the pod template cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

/// Why one pod could not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The server refused the change of the pod's owners.
    #[error("{}", Answer(.0))]
    Patch(#[source] Error),
    /// The set could not be read past the caches, so nothing may be adopted.
    #[error("{}", Answer(.0))]
    Recheck(#[source] Error),
    /// The set cannot be referred to.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// Another set is in the place of the one that is synced.
    #[error("original ReplicaSet {set} is gone: got uid {found}, wanted {wanted}")]
    Replaced {
        /// The set's key.
        set: ObjectKey,
        /// The incarnation on the server.
        found: String,
        /// The incarnation in the cache.
        wanted: String,
    },
    /// The set was asked to go away, which the cache has not seen yet.
    #[error("{set} has just been deleted at {at}")]
    JustDeleted {
        /// The set's key.
        set: ObjectKey,
        /// When.
        at: jiff::Timestamp,
    },
}

/// All that went wrong while a set claimed its pods; never empty.
#[derive(Debug)]
pub struct ClaimErrors(pub(crate) Vec<ClaimError>);

impl ClaimErrors {
    /// The errors, in the order of the pods.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ClaimError> {
        self.0.iter()
    }
}

impl fmt::Display for ClaimErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            [only] => only.fmt(f),
            several => {
                f.write_str("[")?;
                for (index, error) in several.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{error}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl std::error::Error for ClaimErrors {}
