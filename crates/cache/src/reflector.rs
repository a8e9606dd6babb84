mod config;

use std::fmt;

use tokio_util::sync::CancellationToken;

pub use config::{BackoffConfig, InitialList, InvalidReflectorConfig, ReflectorConfig};

use crate::fifo::DeltaFifo;
use crate::source::ListerWatcher;
use crate::store::Store;

/// Keeps a log up to date with a source: lists, then watches, and does so again for ever.
pub struct Reflector<L, K> {
    source: L,
    store: Store<K>,
    fifo: DeltaFifo<K>,
    config: ReflectorConfig,
}

impl<L: ListerWatcher, K: Send + Sync + 'static> Reflector<L, K> {
    /// A reflector that fills `fifo` from `source`.
    ///
    /// It reads `store`, which the log's consumer writes, to hand on what is there already
    /// instead of keeping it twice during a relist.
    ///
    /// # Errors
    ///
    /// When the configuration contradicts itself.
    pub fn new(
        source: L,
        store: Store<K>,
        fifo: DeltaFifo<K>,
        config: ReflectorConfig,
    ) -> Result<Self, InvalidReflectorConfig> {
        config.validate()?;
        Ok(Self {
            source,
            store,
            fifo,
            config,
        })
    }

    /// Runs until the token is cancelled or the log is closed, and closes the log.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it at once, and closes the log too.
    pub async fn run(self, token: CancellationToken) {
        token.cancelled().await;
        self.fifo.close();
    }
}

impl<L, K> fmt::Debug for Reflector<L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflector")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
