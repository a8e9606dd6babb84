//! How informers and handlers are set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cache::{FifoConfig, ReflectorConfig, StoreConfig};

use crate::mailbox::Mailbox;
use crate::metrics::InformerMetrics;

/// The configuration of a [`SharedInformer`](crate::SharedInformer).
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct InformerConfig {
    /// How its lists and watches are made.
    pub reflector: ReflectorConfig,
    /// How much may wait between the watch and the store.
    pub fifo: FifoConfig,
    /// How objects are kept, and who is told of what goes wrong.
    pub store: StoreConfig,
    /// Who is told of events, latencies and backlogs. Default: nobody.
    pub metrics: Option<Arc<dyn InformerMetrics>>,
}

impl fmt::Debug for InformerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InformerConfig")
            .field("reflector", &self.reflector)
            .field("fifo", &self.fifo)
            .field("store", &self.store)
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}

/// The configuration of one handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerConfig {
    /// What logs and metrics call the handler. Default: `handler-` and a number.
    pub name: Option<String>,
    /// What becomes of events that the handler has not got to yet.
    pub mailbox: Mailbox,
    /// How often the handler is shown every object again, as an update of the object to itself.
    /// At least 1 s: a shorter period is raised to it. Default: never.
    ///
    /// The first time is one period after the handler was added or the informer started.
    /// A resync that finds a [`Mailbox::Lossless`] full is left out; one that does not may fill it
    /// beyond its capacity, by as many events as there are objects.
    ///
    /// Only handlers with a period are told of updates to the same version, should the store be
    /// set to deliver those.
    pub resync: Option<Duration>,
}

impl HandlerConfig {
    /// The defaults, with a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}
