//! One question to a kubelet, on a connection of its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::{NodeProxyConfig, NodeTransport};
use crate::error::ServiceError;
use crate::proxy::{Forward, Location};
use crate::serve::ServeError;

/// All kubelets: how they are reached.
pub(super) struct Kubelets {
    pub(super) scheme: &'static str,
    tls: Option<TlsConnector>,
    authorization: Option<HeaderValue>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    pub(super) linger: Duration,
}

/// Why a kubelet did not answer, in the words of Go's clients, which people search for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    #[error("dial tcp {address}: {}", dialing(.error))]
    Unreachable {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("dial tcp {0}: i/o timeout")]
    NoConnection(SocketAddr),
    #[error("net/http: TLS handshake timeout")]
    NoHandshake,
    #[error("tls: failed to verify certificate: {0}")]
    Certificate(rustls::CertificateError),
    #[error("tls: {0}")]
    Tls(io::Error),
    #[error("net/http: timeout awaiting response headers")]
    NoAnswer,
    /// The connection ended before there was an answer.
    #[error("EOF")]
    Ended,
    #[error("{0}")]
    Http(hyper::Error),
    #[error("{0}")]
    Request(http::Error),
}

/// What a kubelet answered, and the connection that the rest of it comes on.
pub(super) struct Answered {
    response: Response<Incoming>,
    /// `None` once it has ended.
    connection: Option<Connection>,
}

/// The body of an answer of a kubelet, as it comes.
pub(super) struct Flow {
    body: Incoming,
    connection: Option<Connection>,
}

/// What must be polled for bytes to come and go.
type Connection = BoxFuture<'static, hyper::Result<()>>;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Kubelets {
    pub(super) fn new(config: NodeProxyConfig) -> Result<Self, ServeError> {
        let authorization = config.token.as_ref().map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret()))
                .expect("a token fits a header");
            value.set_sensitive(true);
            value
        });
        Ok(Self {
            scheme: config.transport.scheme(),
            tls: match config.transport {
                NodeTransport::Http => None,
                NodeTransport::Https {
                    certificate_authority,
                } => Some(trusting(&certificate_authority)?),
            },
            authorization,
            connect_timeout: config.connect_timeout,
            answer_timeout: config.answer_timeout,
            linger: config.linger,
        })
    }

    /// Asks a kubelet, and waits for it to begin to answer: for a while, or as long as it takes.
    ///
    /// Cancel safe: the question is withdrawn with its connection.
    pub(super) async fn ask(
        &self,
        forward: &Forward,
        mut request: Request<Full<Bytes>>,
        patience: Patience,
    ) -> Result<Answered, Silence> {
        let Location { address, target } = &forward.location;
        *request.uri_mut() = target
            .parse()
            .map_err(|error: http::uri::InvalidUri| Silence::Request(error.into()))?;
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(address.to_string()).expect("an address fits a header");
        headers.insert(HOST, host);
        headers.remove(AUTHORIZATION);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let socket = self.connect(*address).await?;
        let asking = exchange(socket, request);
        match patience {
            Patience::Endless => asking.await,
            Patience::Usual => timeout(self.answer_timeout, asking)
                .await
                .unwrap_or(Err(Silence::NoAnswer)),
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<Box<dyn Socket>, Silence> {
        let deadline = Instant::now() + self.connect_timeout;
        let unreachable = |error| Silence::Unreachable { address, error };
        let socket = timeout_at(deadline, TcpStream::connect(address))
            .await
            .map_err(|_| Silence::NoConnection(address))?
            .map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let socket = timeout_at(deadline, tls.connect(address.ip().into(), socket))
            .await
            .map_err(|_| Silence::NoHandshake)?
            .map_err(Silence::of_handshake)?;
        Ok(Box::new(socket))
    }
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Usual,
    Endless,
}

async fn exchange(
    socket: Box<dyn Socket>,
    request: Request<Full<Bytes>>,
) -> Result<Answered, Silence> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .map_err(Silence::of_http)?;
    let mut connection: Connection = Box::pin(connection.with_upgrades());
    let mut sending = std::pin::pin!(sender.send_request(request));
    let (response, ended) = tokio::select! {
        biased;
        response = sending.as_mut() => (response, false),
        _ = connection.as_mut() => (sending.await, true),
    };
    Ok(Answered {
        response: response.map_err(Silence::of_http)?,
        connection: (!ended).then_some(connection),
    })
}

impl Answered {
    /// The head of the answer, and its body.
    pub(super) fn into_flow(self) -> Response<Flow> {
        let connection = self.connection;
        self.response.map(|body| Flow { body, connection })
    }

    pub(super) fn status(&self) -> http::StatusCode {
        self.response.status()
    }

    /// The head of the answer, and the connection now that it is HTTP no more.
    ///
    /// Cancel safe: the connection is dropped.
    pub(super) async fn into_upgraded(
        mut self,
    ) -> Result<(http::response::Parts, Upgraded), Silence> {
        if let Some(connection) = self.connection.take() {
            connection.await.map_err(Silence::of_http)?;
        }
        let upgraded = hyper::upgrade::on(&mut self.response)
            .await
            .map_err(Silence::of_http)?;
        Ok((self.response.into_parts().0, upgraded))
    }
}

impl Stream for Flow {
    type Item = Result<Bytes, ServiceError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            // The body is given what the connection reads, and says when it wants more.
            if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
                return match frame {
                    None => Poll::Ready(None),
                    Some(Err(_)) => Poll::Ready(Some(Err(ServiceError::ConnectionLost))),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
                        // Trailers.
                        Err(_) => continue,
                    },
                };
            }
            let Some(connection) = &mut this.connection else {
                return Poll::Pending;
            };
            if connection.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.connection = None;
        }
    }
}

impl Silence {
    fn of_http(error: hyper::Error) -> Self {
        match error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            true => Self::Ended,
            false => Self::Http(error),
        }
    }

    fn of_handshake(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match tls {
            Some(rustls::Error::InvalidCertificate(why)) => Self::Certificate(why.clone()),
            _ => Self::Tls(error),
        }
    }
}

/// Go's words for what connecting failed with.
fn dialing(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
        _ => format!("connect: {error}"),
    }
}

/// TLS that trusts the authorities in `pem` and nobody else.
fn trusting(pem: &str) -> Result<TlsConnector, ServeError> {
    let refused = |why: Box<dyn std::error::Error + Send + Sync>| ServeError::NodeAuthority(why);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| refused(error.into()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(error.into()))?;
    }
    if roots.is_empty() {
        return Err(refused("there is no certificate in it".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl fmt::Debug for Kubelets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubelets")
            .field("scheme", &self.scheme)
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}
