use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{error, warn};

use super::access::Access;
use super::connection::Terms;
use super::identity::Identity;
use super::{
    Authentication, BoxError, Kubeconfig, Limits, ListenerConfig, RequestBody, ServeError, Token,
    Transport,
};

/// How long accepting rests when the system cannot give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket on loopback, and what clients need to use it.
///
/// Connections made before [`serve`](Self::serve) is called wait in the system's backlog.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    url: String,
    access: Access,
    tls: Option<Tls>,
    limits: Limits,
}

struct Tls {
    ca_pem: String,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the address, and makes the token and the certificate that were asked for.
    ///
    /// # Errors
    ///
    /// [`ServeError::NotLoopback`], [`ServeError::Bind`], and the failures of making a token or a
    /// certificate.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn bind(config: ListenerConfig) -> Result<Self, ServeError> {
        let ListenerConfig {
            address,
            transport,
            authentication,
            service_accounts: accounts,
            limits,
            clock,
        } = config;
        if !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback(address));
        }
        let access = match authentication {
            Authentication::RandomToken => Access::Token(Token::random()?, accounts),
            Authentication::Token(token) => Access::Token(token, accounts),
            Authentication::Anyone => Access::Anyone,
        };
        let (scheme, tls) = match transport {
            Transport::Http => ("http", None),
            Transport::Https => {
                let identity = Identity::generate(clock.now())?;
                let tls = Tls {
                    ca_pem: identity.ca_pem,
                    acceptor: identity.tls.into(),
                };
                ("https", Some(tls))
            }
        };
        let refused = |source| ServeError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self {
            socket,
            address,
            url: format!("{scheme}://{address}"),
            access,
            tls,
            limits,
        })
    }

    /// The address that is bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find the server: `https://127.0.0.1:6443`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token that clients must send, if they must.
    pub fn token(&self) -> Option<&Token> {
        match &self.access {
            Access::Token(token, _) => Some(token),
            Access::Anyone => None,
        }
    }

    /// The certificate authority that clients must trust, as PEM; none over plain HTTP.
    pub fn certificate_authority(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.ca_pem.as_str())
    }

    /// A kubeconfig for this listener.
    pub fn kubeconfig(&self) -> Kubeconfig {
        Kubeconfig::new(&self.url, self.certificate_authority(), self.token())
    }

    /// Serves until `stop` is cancelled, then ends all connections.
    ///
    /// On stop no connection is accepted any more, requests in flight are answered, bodies of
    /// unknown length (watches) end after the event at hand, and what is then still open after
    /// [`Limits::stop`] is closed.
    ///
    /// An error of the service closes the HTTP/1.1 connection, or resets the HTTP/2 stream, without
    /// an answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket and all connections at once.
    pub async fn serve<S, B>(self, service: S, stop: CancellationToken)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let patience = self.limits.stop;
        let terms = Terms {
            tls: self.tls.map(|tls| tls.acceptor),
            access: Arc::new(self.access),
            limits: self.limits,
            stop: stop.clone(),
        };
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                let place = free_place(&places).await;
                let socket = accept(&self.socket).await;
                while let Some(ended) = connections.try_join_next() {
                    report(ended);
                }
                let conversation = terms.clone().serve(socket, service.clone());
                connections.spawn(async move {
                    conversation.await;
                    drop(place);
                });
            }
        };
        stop.run_until_cancelled(accepting).await;
        drop(self.socket);
        let ending = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if timeout(patience, ending).await.is_err() {
            connections.shutdown().await;
        }
    }
}

async fn free_place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed")
}

async fn accept(socket: &TcpListener) -> tokio::net::TcpStream {
    loop {
        match socket.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection was lost to a panic");
    }
}
