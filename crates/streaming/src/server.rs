use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::tokens::Tokens;
use crate::{Error, StreamingConfig, StreamingHandle, StreamingRuntime};

mod connection;

/// What all connections of a server share.
pub(crate) struct Terms<R> {
    pub(crate) runtime: R,
    pub(crate) handle: StreamingHandle,
    pub(crate) config: StreamingConfig,
}

/// How long accepting rests when the system cannot give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket on loopback, which [`run`](Self::run) serves.
#[derive(Debug)]
pub struct StreamingServer {
    socket: TcpListener,
    handle: StreamingHandle,
    config: StreamingConfig,
}

impl StreamingServer {
    /// Binds the address. Connections made before [`run`](Self::run) wait in the system's backlog.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoopback`] and [`Error::Bind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn bind(config: StreamingConfig) -> Result<Self, Error> {
        let address = config.address;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        let refused = |source| Error::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let bound = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            handle: StreamingHandle::new(Tokens::new(&config), bound),
            config,
        })
    }

    /// What hands out URLs for this server.
    pub fn handle(&self) -> StreamingHandle {
        self.handle.clone()
    }

    /// The address that is bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.handle.address()
    }

    /// Serves until `token` is cancelled; then all connections are closed at once, and what runs
    /// behind them is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does the same.
    pub async fn run<R: StreamingRuntime>(self, runtime: R, token: CancellationToken) {
        let terms = Arc::new(Terms {
            runtime,
            handle: self.handle,
            config: self.config,
        });
        let places = Arc::new(Semaphore::new(terms.config.max_connections.max(1)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                (place, self.socket.accept().await)
            };
            tokio::select! {
                () = token.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    if let Err(fault) = ended {
                        error!(%fault, "a streaming connection failed");
                    }
                }
                (place, accepted) = accepted => match accepted {
                    Ok((socket, peer)) => {
                        debug!(%peer, "streaming connection");
                        let terms = terms.clone();
                        connections.spawn(async move {
                            connection::serve(terms, socket).await;
                            drop(place);
                        });
                    }
                    // The client is gone already, or descriptors have run out: others may come.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        connections.shutdown().await;
    }
}
