use std::time::Duration;

use crate::pod::PodName;

/// Why a mirror pod is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The node is not known, so that nothing could own the mirror pod.
    #[error("no mirror pod of {0} can be made before its node is registered")]
    NoNode(PodName),
    /// The node is being deleted.
    #[error("no mirror pod of {0} is made: its node is being deleted")]
    NodeDeleted(PodName),
    /// The static pod has no hash: it came through no source.
    #[error("no mirror pod of {0} can be made: the pod has no hash")]
    NoHash(PodName),
    /// The API server did not answer in time.
    #[error("the mirror pod of {pod} is not known to be as it should: no answer within {limit:?}")]
    Late {
        /// Which pod.
        pod: PodName,
        /// How long it had.
        limit: Duration,
    },
    /// The API server could not be asked, or said no.
    #[error("the mirror pod of {pod} is not as it should be")]
    Api {
        /// Which pod.
        pod: PodName,
        /// What went wrong.
        source: kube_client::Error,
    },
}
