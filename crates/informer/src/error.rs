//! What can go wrong around an informer.

use std::fmt;
use std::sync::Arc;

use kubewright_cache::InvalidReflectorConfig;

use crate::status::SourceFailure;

/// Why an informer, a registration or a factory cannot do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("invalid configuration")]
    InvalidConfig(#[from] InvalidReflectorConfig),
    /// It runs, or has run: each informer and each factory runs once.
    #[error("{name} has been started already")]
    AlreadyStarted {
        /// The informer's or factory's name.
        name: Arc<str>,
    },
    /// It has stopped, for good; a new one is needed.
    #[error("{name} has stopped")]
    Stopped {
        /// The informer's or factory's name.
        name: Arc<str>,
    },
    /// The handler is gone, with its informer or by its removal, before it was in sync.
    #[error("the handler {handler} is gone and was never in sync")]
    HandlerGone {
        /// The handler's name.
        handler: Arc<str>,
    },
    /// Some informers of a factory stopped before they were in sync.
    #[error("not in sync: {}", list(.unsynced))]
    NotSynced {
        /// Which, and why as far as it is known.
        unsynced: Vec<Unsynced>,
    },
}

/// An informer that is not in sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unsynced {
    /// The informer's name.
    pub informer: Arc<str>,
    /// What its source failed with last, if that is what keeps it.
    pub cause: Option<SourceFailure>,
}

impl fmt::Display for Unsynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{} ({cause})", self.informer),
            None => f.write_str(&self.informer),
        }
    }
}

fn list(unsynced: &[Unsynced]) -> String {
    let texts: Vec<_> = unsynced.iter().map(Unsynced::to_string).collect();
    texts.join(", ")
}
