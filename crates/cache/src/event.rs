use std::fmt;

use crate::key::ObjectKey;
use crate::object::Object;

/// A change of the store, as handlers are told of it.
///
/// # Guarantees
///
/// - For each key the events alternate as a life does: `Added`, any number of `Updated`,
///   `Deleted`, and so on. Nothing is updated or deleted that was not added before.
/// - `Updated` never hides a recreation: both sides have the same uid. An object that was deleted
///   and created anew unseen is a `Deleted` with [`Certainty::Inferred`], then an `Added`.
/// - The store holds the outcome before anybody is told.
pub enum Event<K> {
    /// An object is in the store that was not before.
    Added {
        /// The object.
        object: Object<K>,
        /// Whether it was there when the store was first filled.
        initial: Initial,
    },
    /// An object changed, or is shown again as it is.
    Updated {
        /// The state before; the very same object at a resync.
        old: Object<K>,
        /// The state now.
        new: Object<K>,
    },
    /// An object is no longer in the store.
    Deleted {
        /// The last state known.
        object: Object<K>,
        /// Whether the deletion was seen.
        certainty: Certainty,
    },
}

/// Whether an object was there when the store was first filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initial {
    /// It is part of the first complete picture.
    Yes,
    /// It came later.
    No,
}

/// How sure it is that [`Event::Deleted`] carries an object's last state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// The source told of the deletion, and this is the state it told of.
    Seen,
    /// The object was missing from a later list, another incarnation was in its place, or the
    /// state the source told of cannot be read: it is gone, but this may not be its last state.
    Inferred,
}

impl<K> Event<K> {
    /// The key concerned.
    pub fn key(&self) -> &ObjectKey {
        self.object().key()
    }

    /// The state the event leaves behind: the new one, or the last one of a deletion.
    pub const fn object(&self) -> &Object<K> {
        match self {
            Self::Added { object, .. } | Self::Deleted { object, .. } => object,
            Self::Updated { new, .. } => new,
        }
    }

    /// Whether this only shows again what the store has: an update to the same version.
    pub fn is_resync(&self) -> bool {
        match self {
            Self::Updated { old, new } => old.same_version(new),
            Self::Added { .. } | Self::Deleted { .. } => false,
        }
    }
}

impl<K> Clone for Event<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Added { object, initial } => Self::Added {
                object: object.clone(),
                initial: *initial,
            },
            Self::Updated { old, new } => Self::Updated {
                old: old.clone(),
                new: new.clone(),
            },
            Self::Deleted { object, certainty } => Self::Deleted {
                object: object.clone(),
                certainty: *certainty,
            },
        }
    }
}

impl<K> fmt::Debug for Event<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { object, initial } => write!(f, "Added({object:?}, initial {initial:?})"),
            Self::Updated { old, new } => write!(f, "Updated({old:?} -> {new:?})"),
            Self::Deleted { object, certainty } => write!(f, "Deleted({object:?}, {certainty:?})"),
        }
    }
}
