//! The merging rules.

use kubewright_cache::{Certainty, Event, Initial, Object, ObjectKey};

/// What a handler has yet to learn of one key.
///
/// The rules of [`Pending::merge`] keep one invariant: from what the handler knew before, the
/// pending facts lead to what the store holds now.
#[derive(Clone, Debug)]
pub(super) enum Pending<K> {
    /// The handler knows of no object; there is one.
    Added { object: Object<K>, initial: Initial },
    /// The handler knows `old`; the object is `new` now.
    Updated { old: Object<K>, new: Object<K> },
    /// The handler knows an object that is gone; `object` is its last state.
    Deleted {
        object: Object<K>,
        certainty: Certainty,
    },
    /// The handler knows an object that is gone, and there is another of the same key.
    Replaced {
        gone: Object<K>,
        certainty: Certainty,
        object: Object<K>,
        initial: Initial,
    },
}

impl<K> Pending<K> {
    pub(super) fn key(&self) -> &ObjectKey {
        match self {
            Self::Added { object, .. } | Self::Deleted { object, .. } => object.key(),
            Self::Updated { new, .. } => new.key(),
            Self::Replaced { gone, .. } => gone.key(),
        }
    }

    /// How many additions of the initial list are among the facts: none or one.
    pub(super) fn initial_additions(&self) -> usize {
        match self {
            Self::Added { initial, .. } | Self::Replaced { initial, .. } => {
                usize::from(*initial == Initial::Yes)
            }
            Self::Updated { .. } | Self::Deleted { .. } => 0,
        }
    }

    /// The facts after `event`; `None` if nothing is left to tell.
    ///
    /// | pending | + Added | + Updated | + Deleted |
    /// |---|---|---|---|
    /// | Added | – | Added, newest | nothing |
    /// | Updated | – | Updated, first old and newest | Deleted |
    /// | Deleted | Replaced | – | – |
    /// | Replaced | – | Replaced, newest | Deleted, of the first |
    ///
    /// A store never causes the pairs marked –: it adds only what is absent, and changes or
    /// deletes only what is there. They are answered in the spirit of the others, so that a
    /// handler still ends up where the store is.
    pub(super) fn merge(self, event: Event<K>) -> Option<Self> {
        let merged = match (self, event) {
            (
                Self::Added { initial, .. },
                Event::Added { object, .. } | Event::Updated { new: object, .. },
            ) => Self::Added { object, initial },
            (Self::Added { .. }, Event::Deleted { .. }) => return None,

            (
                Self::Updated { old, .. },
                Event::Added { object: new, .. } | Event::Updated { new, .. },
            ) => Self::Updated { old, new },
            (Self::Updated { .. } | Self::Deleted { .. }, Event::Deleted { object, certainty }) => {
                Self::Deleted { object, certainty }
            }

            (
                Self::Deleted {
                    object: gone,
                    certainty,
                },
                Event::Added { object, initial },
            ) => Self::Replaced {
                gone,
                certainty,
                object,
                initial,
            },
            (
                Self::Deleted {
                    object: gone,
                    certainty,
                },
                Event::Updated { new, .. },
            ) => Self::Replaced {
                gone,
                certainty,
                object: new,
                initial: Initial::No,
            },

            (
                Self::Replaced {
                    gone,
                    certainty,
                    initial,
                    ..
                },
                Event::Added { object, .. } | Event::Updated { new: object, .. },
            ) => Self::Replaced {
                gone,
                certainty,
                object,
                initial,
            },
            (
                Self::Replaced {
                    gone, certainty, ..
                },
                Event::Deleted { .. },
            ) => Self::Deleted {
                object: gone,
                certainty,
            },
        };
        Some(merged)
    }

    /// The event to hand over first, and the facts that remain.
    pub(super) fn split(self) -> (Event<K>, Option<Self>) {
        match self {
            Self::Added { object, initial } => (Event::Added { object, initial }, None),
            Self::Updated { old, new } => (Event::Updated { old, new }, None),
            Self::Deleted { object, certainty } => (Event::Deleted { object, certainty }, None),
            Self::Replaced {
                gone,
                certainty,
                object,
                initial,
            } => (
                Event::Deleted {
                    object: gone,
                    certainty,
                },
                Some(Self::Added { object, initial }),
            ),
        }
    }
}

impl<K> From<Event<K>> for Pending<K> {
    fn from(event: Event<K>) -> Self {
        match event {
            Event::Added { object, initial } => Self::Added { object, initial },
            Event::Updated { old, new } => Self::Updated { old, new },
            Event::Deleted { object, certainty } => Self::Deleted { object, certainty },
        }
    }
}
