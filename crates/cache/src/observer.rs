use crate::decode::DecodeError;
use crate::source::{SourceError, Undecodable};
use crate::store::IndexFailure;

/// Is told what a cache puts up with, for logs and metrics.
///
/// Every method does nothing by default. Calls come from the cache's own tasks and must not
/// block.
pub trait Observer: Send + Sync + 'static {
    /// A request to the source failed, or an open watch did; the reflector goes on by itself.
    ///
    /// Every failure is told, those too that no retry will mend: see [`SourceError::is_fatal`].
    fn source_failed(&self, operation: Operation, error: &SourceError) {
        let _ = (operation, error);
    }

    /// An item of a list or a watch could not be read; the list or watch went on.
    fn undecodable(&self, item: &Undecodable) {
        let _ = item;
    }

    /// An object was asked for its typed form and has none.
    fn decode_failed(&self, error: &DecodeError) {
        let _ = error;
    }

    /// An index function failed for an object, which is missing from that index.
    fn index_failed(&self, failure: &IndexFailure) {
        let _ = failure;
    }
}

/// What a reflector was doing when its source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Listing, page by page.
    List,
    /// Listing by the initial events of a watch.
    StreamingList,
    /// Opening a watch.
    OpenWatch,
    /// Reading from an open watch.
    Watch,
}

/// Logs everything through `tracing`; the default.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Logged;

impl Observer for Logged {
    fn source_failed(&self, operation: Operation, error: &SourceError) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(?operation, error, "source failed");
    }

    fn undecodable(&self, item: &Undecodable) {
        tracing::warn!(%item, "undecodable item passed over");
    }

    fn decode_failed(&self, error: &DecodeError) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(error, "object does not decode");
    }

    fn index_failed(&self, failure: &IndexFailure) {
        tracing::error!(%failure, "object not indexed");
    }
}
