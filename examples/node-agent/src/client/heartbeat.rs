use std::sync::Arc;

use kube_client::{Client, Error};
use parking_lot::Mutex;

/// The client of heartbeats, whose connections can be given up. Cheap to clone; clones share them.
///
/// A connection may die without anybody telling: its peer is gone, and packets are dropped on the
/// way. Heartbeats that keep failing are what shows it, and a new connection is the cure.
#[derive(Clone)]
pub struct HeartbeatClient {
    make: Arc<dyn Fn() -> Result<Client, Error> + Send + Sync>,
    current: Arc<Mutex<Client>>,
}

impl HeartbeatClient {
    /// A client that `make` makes, now and whenever connections are given up.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn new(
        make: impl Fn() -> Result<Client, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let first = make()?;
        Ok(Self::with(first, make))
    }

    pub(super) fn with(
        first: Client,
        make: impl Fn() -> Result<Client, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            current: Arc::new(Mutex::new(first)),
        }
    }

    /// The client as it is now. Ask again for each heartbeat.
    pub fn client(&self) -> Client {
        self.current.lock().clone()
    }

    /// Gives up all connections: the next request makes a new one. Requests under way still end.
    pub fn reconnect(&self) {
        match (self.make)() {
            Ok(client) => {
                tracing::warn!("heartbeats keep failing: their connections are closed");
                *self.current.lock() = client;
            }
            Err(error) => tracing::error!(%error, "no new client for heartbeats can be made"),
        }
    }
}

impl std::fmt::Debug for HeartbeatClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeartbeatClient").finish_non_exhaustive()
    }
}
