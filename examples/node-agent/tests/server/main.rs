//! The servers of the agent, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../sockets/taken_port.rs"]
mod taken_port;

mod access;
mod api;
mod cluster;
mod connections;
mod container_logs;
mod health;
mod host;
mod pod_resources;
mod streams;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use node_agent::server::{Access, ApiServer, ServerOptions};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use host::FakeHost;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(120);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server of the API, and its clients.
struct Served {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    host: Arc<FakeHost>,
    token: CancellationToken,
    running: JoinSet<()>,
    clients: Mutex<JoinSet<()>>,
    _pki: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
struct Answered {
    code: u16,
    headers: HeaderMap,
    text: String,
}

impl Served {
    /// Serves whoever connects, with handlers for debugging.
    async fn start(host: FakeHost) -> Self {
        Self::with(host, open(), |_| {}).await
    }

    async fn with(host: FakeHost, access: Access, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let pki = tempfile::tempdir().unwrap();
        let mut options = ServerOptions::default();
        options.pki_dir = pki.path().join("pki");
        change(&mut options);
        let host = Arc::new(host);
        let server = ApiServer::bind(ANY_PORT, options, access, Arc::clone(&host));
        let server = server.await.unwrap();
        let tls = client_config(server.certificate_pem().unwrap(), None);
        Self::run(server, host, Some(tls), pki)
    }

    async fn read_only(host: FakeHost) -> Self {
        let host = Arc::new(host);
        let options = ServerOptions::default();
        let server = ApiServer::bind_read_only(ANY_PORT, options, Arc::clone(&host));
        let server = server.await.unwrap();
        Self::run(server, host, None, tempfile::tempdir().unwrap())
    }

    fn run(
        server: ApiServer<FakeHost>,
        host: Arc<FakeHost>,
        tls: Option<Arc<ClientConfig>>,
        pki: tempfile::TempDir,
    ) -> Self {
        let token = CancellationToken::new();
        let address = server.address();
        let mut running = JoinSet::new();
        running.spawn(server.run(token.clone()));
        Self {
            address,
            tls,
            host,
            token,
            running,
            clients: Mutex::default(),
            _pki: pki,
        }
    }

    async fn get(&self, target: &str) -> Answered {
        self.send("GET", target, &[]).await
    }

    async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answered {
        let response = self.response(method, target, headers).await;
        let (head, body) = response.into_parts();
        let body = timeout(DEADLINE, body.collect()).await.unwrap().unwrap();
        Answered {
            code: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.to_bytes().to_vec()).unwrap(),
        }
    }

    /// The answer to a request, whose body is still to come.
    async fn response(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in [("host", "localhost")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let asked = async {
            match &self.tls {
                Some(_) => ask(&self.clients, TokioIo::new(self.connect().await), request).await,
                None => {
                    let socket = TcpStream::connect(self.address).await.unwrap();
                    ask(&self.clients, TokioIo::new(socket), request).await
                }
            }
        };
        timeout(DEADLINE, asked).await.unwrap()
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::clone(self.tls.as_ref().unwrap()));
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, socket).await.unwrap()
    }

    /// Stops the server, and waits until all of it has ended.
    async fn stop(mut self) {
        self.token.cancel();
        let ended = timeout(DEADLINE, self.running.join_next()).await;
        ended.expect("it stops in time").unwrap().unwrap();
    }
}

/// Sends a request; the connection is driven by one of the tasks.
async fn ask<I>(
    tasks: &Mutex<JoinSet<()>>,
    io: I,
    request: Request<Empty<Bytes>>,
) -> Response<Incoming>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tasks.lock().spawn(async move {
        // A server that stops ends connections as it likes.
        let _ = connection.await;
    });
    sender.send_request(request).await.unwrap()
}

/// Lets everybody in, and knows one token.
fn open() -> Access {
    Access::new("test")
        .with_anonymous_clients()
        .with_shared_token("secret".parse().unwrap())
        .with_everything_allowed()
}

fn client_config(ca_pem: &str, own: Option<(&str, &str)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    })
}
