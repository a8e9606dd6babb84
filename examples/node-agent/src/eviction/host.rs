use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::{Observations, PodUsage, Signal};
use crate::pod::PodUid;

/// What the node has left, and what pods use of it.
pub trait EvictionHost: Send + Sync + 'static {
    /// What the node has left.
    fn observe(&self) -> impl Future<Output = Result<Observations, EvictionError>> + Send;

    /// What these pods use; one that nothing is known of is not there.
    fn usages(
        &self,
        pods: &[Arc<Pod>],
    ) -> impl Future<Output = Result<HashMap<PodUid, PodUsage>, EvictionError>> + Send;

    /// Makes room without ending a pod, as far as that goes: removes dead containers and images
    /// that nobody uses.
    fn reclaim(&self, signal: Signal) -> impl Future<Output = ()> + Send;
}

/// Nobody can tell how the node fares.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvictionError {
    /// A file of the system cannot be read.
    #[error("{}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file of the system has not what it should.
    #[error("{path} has no {what}")]
    Incomplete {
        /// Which file.
        path: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The runtime does not answer.
    #[error(transparent)]
    Runtime(#[from] kubewright_cri::Error),
    /// The work on files was given up.
    #[error("the work on files was given up")]
    GivenUp,
}
