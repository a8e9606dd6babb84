use std::fmt;

use crate::key::ObjectKey;
use crate::object::Object;
use crate::source::Undecodable;
use crate::version::ResourceVersion;

/// One entry of the log between a reflector and a store.
///
/// Deltas say what the source said; what that means for the store is an
/// [`Event`](crate::Event).
#[non_exhaustive]
pub enum Delta<K> {
    /// The watch told of an object for the first time.
    Added(Object<K>),
    /// The watch told of a change.
    Updated(Object<K>),
    /// The watch told of a deletion; this is the last state.
    Deleted(Object<K>),
    /// The watch told of a change, possibly a deletion, that cannot be read.
    Undecodable(Undecodable),
    /// A complete picture, atomically in the place of all that was before.
    Replaced {
        /// The objects there are.
        items: Vec<Object<K>>,
        /// The items that cannot be read; objects with their keys stay as they are.
        undecodable: Vec<Undecodable>,
        /// The version of the picture.
        version: ResourceVersion,
    },
    /// Show every object again, atomically.
    Sync,
    /// Nothing else changed up to this version.
    Bookmark {
        /// The version reached.
        version: ResourceVersion,
    },
}

impl<K> Delta<K> {
    /// The one object concerned, if it is one.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Added(object) | Self::Updated(object) | Self::Deleted(object) => {
                Some(object.key())
            }
            Self::Undecodable(item) => item.key.as_ref(),
            Self::Replaced { .. } | Self::Sync | Self::Bookmark { .. } => None,
        }
    }

    /// The version of the source that the delta brings, if it brings one.
    pub fn version(&self) -> Option<&ResourceVersion> {
        let version = match self {
            Self::Added(object) | Self::Updated(object) | Self::Deleted(object) => {
                object.meta().resource_version()
            }
            Self::Replaced { version, .. } | Self::Bookmark { version } => version,
            Self::Undecodable(item) => item.resource_version.as_ref()?,
            Self::Sync => return None,
        };
        version.is_concrete().then_some(version)
    }

    /// Whether it may share a batch with others.
    pub(crate) const fn is_batchable(&self) -> bool {
        !matches!(self, Self::Replaced { .. } | Self::Sync)
    }
}

impl<K> fmt::Debug for Delta<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(object) => write!(f, "Added({object:?})"),
            Self::Updated(object) => write!(f, "Updated({object:?})"),
            Self::Deleted(object) => write!(f, "Deleted({object:?})"),
            Self::Undecodable(item) => write!(f, "Undecodable({item})"),
            Self::Replaced { items, version, .. } => write!(f, "Replaced({items:?}@{version})"),
            Self::Sync => f.write_str("Sync"),
            Self::Bookmark { version } => write!(f, "Bookmark({version})"),
        }
    }
}
