//! How a controller is set up.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use kubewright_informer::ObjectKey;
use kubewright_workqueue::QueueConfig;

use crate::{ControllerMetrics, OwnWrites};

/// The configuration of a [`Controller`](crate::Controller).
#[non_exhaustive]
pub struct ControllerConfig {
    /// How many keys are reconciled at once. Default: 1.
    pub concurrency: NonZeroUsize,
    /// How long to wait for the sources to be in sync before the first reconcile. Default: 2 min.
    pub sync_timeout: Duration,
    /// How long a reconcile may take before it is dropped and counts as failed. Default: no limit.
    pub reconcile_timeout: Option<Duration>,
    /// How long reconciles may go on after the controller was stopped. Default: 30 s.
    pub stop_timeout: Duration,
    /// The limiters and metrics of the queue.
    /// Default: 5 ms to 1000 s per key, and 10 retries per second after 100 at once in all.
    pub queue: QueueConfig<ObjectKey>,
    /// Own writes that the stores have to show before a key is reconciled again. Default: none.
    pub own_writes: Option<OwnWrites>,
    /// How long a reconcile is put off for [`ControllerConfig::own_writes`] at most.
    /// Default: 5 min.
    ///
    /// After that something is wrong with the store's watch, and the reconcile goes ahead with a
    /// warning. A store without changes still advances by bookmarks, which an API server sends about
    /// once a minute.
    pub deferral_limit: Duration,
    /// Who is told of reconciles. Default: nobody.
    pub metrics: Option<Arc<dyn ControllerMetrics>>,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            concurrency: NonZeroUsize::MIN,
            sync_timeout: Duration::from_secs(2 * 60),
            reconcile_timeout: None,
            stop_timeout: Duration::from_secs(30),
            queue: QueueConfig::default(),
            own_writes: None,
            deferral_limit: Duration::from_secs(5 * 60),
            metrics: None,
        }
    }
}

impl fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerConfig")
            .field("concurrency", &self.concurrency)
            .field("sync_timeout", &self.sync_timeout)
            .field("reconcile_timeout", &self.reconcile_timeout)
            .field("stop_timeout", &self.stop_timeout)
            .field("queue", &self.queue)
            .field("own_writes", &self.own_writes.is_some())
            .field("deferral_limit", &self.deferral_limit)
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}
