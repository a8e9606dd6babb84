//! A kubelet that does what the name of a container says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::within;

pub(crate) const TOKEN: &str = "node-t0ken";

/// A request that a kubelet got.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A kubelet; it ends when it is dropped.
pub(crate) struct Kubelet {
    pub(crate) address: SocketAddr,
    /// What certificates of kubelets are signed by.
    pub(crate) authority: Option<String>,
    asked: mpsc::UnboundedReceiver<Asked>,
    /// How many endless answers and tunnels there are.
    alive: watch::Receiver<usize>,
    /// How many bytes of endless answers were sent.
    pub(crate) sent: watch::Receiver<usize>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct State {
    asked: mpsc::UnboundedSender<Asked>,
    alive: watch::Sender<usize>,
    sent: watch::Sender<usize>,
}

impl Kubelet {
    /// A kubelet that speaks plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    /// A kubelet with a certificate for `name`.
    pub(crate) async fn start_secure(name: &str) -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &ca).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self::serve(Some((Arc::new(config).into(), ca.pem()))).await
    }

    async fn serve(tls: Option<(TlsAcceptor, String)>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (asking, asked) = mpsc::unbounded_channel();
        let (alive, watching_alive) = watch::channel(0);
        let (sent, watching_sent) = watch::channel(0);
        let state = State {
            asked: asking,
            alive,
            sent,
        };
        let (acceptor, authority) = tls.unzip();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = socket.accept().await.unwrap();
                let (acceptor, state) = (acceptor.clone(), state.clone());
                connections.spawn(async move {
                    match acceptor {
                        None => converse(socket, state).await,
                        Some(acceptor) => {
                            if let Ok(socket) = acceptor.accept(socket).await {
                                converse(socket, state).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            authority,
            asked,
            alive: watching_alive,
            sent: watching_sent,
            _serving: serving,
        }
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> Asked {
        within(self.asked.recv()).await.unwrap()
    }

    /// Whether no request came that was not looked at.
    pub(crate) fn was_not_asked(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// Waits until there are so many endless answers and tunnels.
    pub(crate) async fn alive(&mut self, count: usize) {
        within(self.alive.wait_for(|alive| *alive == count))
            .await
            .unwrap();
    }
}

async fn converse(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: State) {
    let tunnels = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
    let respond = service_fn(|request| answer(request, state.clone(), Arc::clone(&tunnels)));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), respond)
        .with_upgrades()
        .await;
    let mut tunnels = tunnels.lock().await;
    while tunnels.join_next().await.is_some() {}
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

fn says(code: u16, text: &str) -> Response<AnyBody> {
    let mut response = Response::new(Full::from(text.to_owned()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

async fn answer(
    mut request: Request<Incoming>,
    state: State,
    tunnels: Arc<tokio::sync::Mutex<JoinSet<()>>>,
) -> Result<Response<AnyBody>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let target = head.uri.to_string();
    let body = body.collect().await.unwrap().to_bytes();
    let token = head.headers.get("authorization").cloned();
    let protocol = head.headers.get("upgrade").cloned();
    let _ = state.asked.send(Asked {
        method: head.method,
        target: target.clone(),
        headers: head.headers,
        body,
    });
    if token.is_none_or(|token| token != format!("Bearer {TOKEN}")) {
        return Ok(says(401, "Unauthorized"));
    }
    let path = head.uri.path();
    let container = path.rsplit('/').next().unwrap();
    Ok(match container {
        "hangs" => std::future::pending().await,
        "closes" => panic!("the connection is lost on purpose"),
        "missing" => says(404, "no such container"),
        "broken" => says(500, "the disk is gone"),
        "flood" => endless(state, 1 << 20),
        _ if path.starts_with("/containerLogs/") && target.contains("follow=true") => {
            endless(state, 1)
        }
        _ if path.starts_with("/containerLogs/") => says(200, "one\ntwo\n"),
        "refuses" => says(400, "unable to upgrade: only SPDY is spoken here"),
        _ if let Some(protocol) = protocol => {
            let alive = Alive::new(state.alive);
            tunnels.lock().await.spawn(async move {
                let _alive = alive;
                let Ok(end) = upgrade.await else { return };
                let (mut read, mut write) = tokio::io::split(TokioIo::new(end));
                if tokio::io::copy(&mut read, &mut write).await.is_ok() {
                    let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
                }
            });
            let mut response = says(101, "");
            let headers = response.headers_mut();
            headers.insert("connection", "Upgrade".parse().unwrap());
            headers.insert("upgrade", protocol);
            headers.insert(
                "x-stream-protocol-version",
                "v5.channel.k8s.io".parse().unwrap(),
            );
            response
        }
        _ => {
            let mut response = says(203, &format!("page {path}"));
            let headers = response.headers_mut();
            headers.insert("content-type", "text/x-page".parse().unwrap());
            response
        }
    })
}

/// Counted while it lives.
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(alive: watch::Sender<usize>) -> Self {
        alive.send_modify(|alive| *alive += 1);
        Self(alive)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

fn endless(state: State, size: usize) -> Response<AnyBody> {
    let body = Endless {
        _alive: Alive::new(state.alive),
        sent: state.sent,
        frame: vec![b'x'; size].into(),
        begun: false,
    };
    Response::new(body.boxed_unsync())
}

/// One frame, and for sizes above one byte endlessly more.
struct Endless {
    _alive: Alive,
    sent: watch::Sender<usize>,
    frame: Bytes,
    begun: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.begun && this.frame.len() == 1 {
            return Poll::Pending;
        }
        this.begun = true;
        this.sent.send_modify(|sent| *sent += this.frame.len());
        Poll::Ready(Some(Ok(Frame::data(this.frame.clone()))))
    }
}
