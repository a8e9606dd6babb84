//! Why a controller ends otherwise than it was asked to.

use std::sync::Arc;
use std::time::Duration;

/// Why [`Controller::run`](crate::Controller::run) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An informer stopped before the controller could work with it.
    #[error("controller {controller}: the source {name} is not available")]
    Source {
        /// The controller.
        controller: Arc<str>,
        /// The source's name.
        name: Arc<str>,
        /// What the informer says.
        #[source]
        error: kubewright_informer::Error,
    },
    /// Some sources were not in sync in time.
    #[error("controller {controller}: not in sync after {waited:?}: {}", .sources.join(", "))]
    NotSynced {
        /// The controller.
        controller: Arc<str>,
        /// How long it waited.
        waited: Duration,
        /// The names of those sources.
        sources: Vec<Arc<str>>,
    },
    /// Some reconciles did not end in time after the controller was stopped; they were cut off.
    #[error("controller {controller}: {reconciles} reconciles did not end within {waited:?}")]
    CutOff {
        /// The controller.
        controller: Arc<str>,
        /// How many.
        reconciles: usize,
        /// How long it waited.
        waited: Duration,
    },
}
