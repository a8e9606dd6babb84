//! The listener over real sockets: who is let in, what a bad client costs, and how it stops.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::serve::{
    Authentication, Limits, Listener, ListenerConfig, RequestBody, ServeError, Transport,
};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must happen, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// A limit that is not meant to be reached.
const LONG: Duration = Duration::from_secs(3600);
/// A limit that is meant to be reached.
const SHORT: Duration = Duration::from_millis(100);

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// A listener whose service is known, and what it saw.
struct Served {
    address: SocketAddr,
    ca_pem: Option<String>,
    stop: CancellationToken,
    serving: JoinSet<()>,
    /// How many endless answers are alive.
    endless: watch::Receiver<usize>,
}

fn secure() -> ListenerConfig {
    let mut config = ListenerConfig::default();
    config.authentication = Authentication::Anyone;
    let Limits {
        first_request,
        next_request,
        body_stall,
        write_stall,
        stop,
        ..
    } = &mut config.limits;
    for limit in [first_request, next_request, body_stall, write_stall, stop] {
        *limit = LONG;
    }
    config
}

fn plain() -> ListenerConfig {
    let mut config = secure();
    config.transport = Transport::Http;
    config
}

fn plain_with(limit: impl FnOnce(&mut Limits)) -> ListenerConfig {
    let mut config = plain();
    limit(&mut config.limits);
    config
}

async fn serve(config: ListenerConfig) -> Served {
    let listener = Listener::bind(config).await.unwrap();
    let (alive, endless) = watch::channel(0);
    let service = tower::service_fn(move |request| answer(request, alive.clone()));
    let address = listener.address();
    let ca_pem = listener.certificate_authority().map(str::to_owned);
    let stop = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(listener.serve(service, stop.clone()));
    Served {
        address,
        ca_pem,
        stop,
        serving,
        endless,
    }
}

async fn answer(
    request: Request<RequestBody>,
    alive: watch::Sender<usize>,
) -> Result<Response<AnyBody>, &'static str> {
    let full = |text: String| Response::new(Full::from(text).boxed_unsync());
    match request.uri().path() {
        "/length" => match request.into_body().collect().await {
            Ok(body) => Ok(full(body.to_bytes().len().to_string())),
            Err(error) => {
                let mut response = full(error.to_string());
                *response.status_mut() = StatusCode::BAD_REQUEST;
                Ok(response)
            }
        },
        "/unwanted" => {
            let mut response = full("too much".to_owned());
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            Ok(response)
        }
        "/endless" => Ok(Response::new(Endless::new(alive, 1).boxed_unsync())),
        "/flood" => Ok(Response::new(Endless::new(alive, 1 << 20).boxed_unsync())),
        "/panic" => panic!("the service panics on purpose"),
        "/lost" => Err("lost on purpose"),
        path => Ok(full(format!("{:?} {path}", request.version()))),
    }
}

/// One frame, and for sizes above one byte endlessly more; counted while it lives.
struct Endless {
    alive: watch::Sender<usize>,
    frame: Bytes,
    sent: bool,
}

impl Endless {
    fn new(alive: watch::Sender<usize>, size: usize) -> Self {
        alive.send_modify(|alive| *alive += 1);
        Self {
            alive,
            frame: vec![b'x'; size].into(),
            sent: false,
        }
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.alive.send_modify(|alive| *alive -= 1);
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.sent && this.frame.len() == 1 {
            return Poll::Pending;
        }
        this.sent = true;
        Poll::Ready(Some(Ok(Frame::data(this.frame.clone()))))
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn endless_answers(&mut self, count: usize) {
        within(self.endless.wait_for(|alive| *alive == count))
            .await
            .unwrap();
    }

    async fn stopped(mut self) {
        self.stop.cancel();
        within(self.serving.join_next()).await.unwrap().unwrap();
    }
}

#[track_caller]
fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        timeout(DEADLINE, future)
            .await
            .unwrap_or_else(|_| panic!("nothing happened for {DEADLINE:?} at {caller}"))
    }
}

/// Sends a request and reads one answer with a `Content-Length`.
async fn exchange(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    socket.write_all(request.as_bytes()).await.unwrap();
    read_answer(socket).await
}

async fn read_answer(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = String::new();
    loop {
        let mut byte = [0];
        let read = within(socket.read(&mut byte)).await.unwrap();
        assert_eq!(read, 1, "the connection ended within an answer: {answer:?}");
        answer.push(char::from(byte[0]));
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            })
            .expect("an answer of known length");
        if body.len() == length.parse::<usize>().unwrap() {
            return answer;
        }
    }
}

/// Reads until the connection ends, however it ends.
async fn read_to_end(socket: &mut (impl AsyncRead + Unpin + ?Sized)) -> String {
    let mut bytes = Vec::new();
    match within(socket.read_to_end(&mut bytes)).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(bytes).unwrap()
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn addresses_beyond_this_machine_are_refused() {
    for address in ["0.0.0.0:0", "10.0.0.1:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        let mut config = plain();
        config.address = address.parse().unwrap();
        let error = Listener::bind(config).await.unwrap_err();
        assert!(matches!(error, ServeError::NotLoopback(_)), "{error}");
        assert!(error.to_string().contains("not a loopback address"));
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let first = Listener::bind(plain()).await.unwrap();
    let mut config = plain();
    config.address = first.address();
    let error = Listener::bind(config).await.unwrap_err();
    let address = first.address();
    assert!(matches!(error, ServeError::Bind { .. }), "{error}");
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let served = serve(plain()).await;
    let mut socket = served.connect().await;
    for _ in 0..3 {
        let answer = exchange(&mut socket, GET).await;
        assert!(answer.ends_with("HTTP/1.1 /a"), "{answer}");
    }
    served.stopped().await;
}

async fn connect_securely(
    served: &Served,
    name: &'static str,
    alpn: &[&str],
    ca_pem: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(name).unwrap();
    within(connector.connect(name, served.connect().await)).await
}

async fn handshake(
    served: &Served,
    name: &'static str,
    alpn: &[&str],
    ca_pem: &str,
) -> std::io::Result<(Option<Vec<u8>>, String)> {
    let mut socket = connect_securely(served, name, alpn, ca_pem).await?;
    let protocol = socket.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let answer = if protocol.as_deref() == Some(b"h2") {
        String::new()
    } else {
        exchange(&mut socket, GET).await
    };
    Ok((protocol, answer))
}

#[tokio::test]
async fn tls_is_for_loopback_names_and_offers_both_protocols() {
    let served = serve(secure()).await;
    let ca_pem = served.ca_pem.clone().unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        let (protocol, _) = handshake(&served, name, &["h2", "http/1.1"], &ca_pem)
            .await
            .unwrap();
        assert_eq!(protocol.as_deref(), Some(&b"h2"[..]), "{name}");
        let (protocol, answer) = handshake(&served, name, &["http/1.1"], &ca_pem)
            .await
            .unwrap();
        assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]), "{name}");
        assert!(answer.ends_with("HTTP/1.1 /a"), "{answer}");
        let (protocol, _) = handshake(&served, name, &[], &ca_pem).await.unwrap();
        assert_eq!(protocol, None, "{name}");
    }
    let elsewhere = handshake(&served, "example.com", &[], &ca_pem).await;
    assert!(elsewhere.unwrap_err().to_string().contains("certificate"));

    let other = Listener::bind(secure()).await.unwrap();
    let other_ca = other.certificate_authority().unwrap();
    let stranger = handshake(&served, "localhost", &[], other_ca).await;
    assert!(stranger.unwrap_err().to_string().contains("certificate"));
    served.stopped().await;
}

#[tokio::test]
async fn without_the_token_nothing_reaches_the_service() {
    let mut config = plain();
    config.authentication = Authentication::Token("t0ken".parse().unwrap());
    let served = serve(config).await;
    let mut socket = served.connect().await;
    let answer = exchange(&mut socket, GET).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        answer.contains("content-type: application/json"),
        "{answer}"
    );
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["reason"], "Unauthorized");
    assert_eq!(status["code"], 401);

    let request = GET.replace("\r\n\r\n", "\r\nauthorization: Bearer t0ken\r\n\r\n");
    let answer = exchange(&mut socket, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    served.stopped().await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let served = serve(plain_with(|limits| limits.first_request = SHORT)).await;
    let mut silent = served.connect().await;
    let mut partial = served.connect().await;
    partial
        .write_all(b"GET /a HTTP/1.1\r\nhost: lo")
        .await
        .unwrap();
    let mut preface = served.connect().await;
    preface
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    for socket in [&mut silent, &mut partial] {
        assert_eq!(read_to_end(socket).await, "");
    }
    // The settings of HTTP/2 are no text.
    let mut settings = Vec::new();
    let _ = within(preface.read_to_end(&mut settings)).await;
    served.stopped().await;
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_is_given_up() {
    let mut config = secure();
    config.limits.first_request = SHORT;
    let served = serve(config).await;
    let mut silent = served.connect().await;
    let mut garbage = served.connect().await;
    garbage.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
    let mut alert = Vec::new();
    let _ = within(garbage.read_to_end(&mut alert)).await;
    assert!(!alert.starts_with(b"HTTP"));
    served.stopped().await;
}

#[tokio::test]
async fn a_second_request_whose_head_does_not_come_is_given_up() {
    let served = serve(plain_with(|limits| limits.next_request = SHORT)).await;
    let mut socket = served.connect().await;
    exchange(&mut socket, GET).await;
    socket.write_all(b"GET /b HTT").await.unwrap();
    let rest = read_to_end(&mut socket).await;
    assert!(!rest.contains("/b"), "{rest}");
    served.stopped().await;
}

#[tokio::test]
async fn a_request_may_take_longer_than_the_first_may_take_to_come() {
    let mut served = serve(plain_with(|limits| limits.first_request = SHORT)).await;
    let mut socket = served.connect().await;
    socket
        .write_all(GET.replace("/a", "/endless").as_bytes())
        .await
        .unwrap();
    served.endless_answers(1).await;
    // Outlived by a connection that came later and asked nothing.
    assert_eq!(read_to_end(&mut served.connect().await).await, "");
    assert_eq!(*served.endless.borrow(), 1);
    served.stopped().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let served = serve(plain_with(|limits| limits.connections = 2)).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    exchange(&mut first, GET).await;
    exchange(&mut second, GET).await;
    let mut third = served.connect().await;
    third.write_all(GET.as_bytes()).await.unwrap();
    assert!(
        timeout(SHORT, third.read_u8()).await.is_err(),
        "no place is free"
    );
    drop(first);
    let answer = read_answer(&mut third).await;
    assert!(answer.ends_with("/a"), "{answer}");
    served.stopped().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_others_are_not() {
    let mut served = serve(plain_with(|limits| limits.write_stall = SHORT)).await;
    let mut stuck = served.connect().await;
    let mut watcher = served.connect().await;
    watcher
        .write_all(GET.replace("/a", "/endless").as_bytes())
        .await
        .unwrap();
    stuck
        .write_all(GET.replace("/a", "/flood").as_bytes())
        .await
        .unwrap();
    served.endless_answers(2).await;
    exchange(&mut served.connect().await, GET).await;
    served.endless_answers(1).await;
    drop(watcher);
    served.endless_answers(0).await;
    served.stopped().await;
}

#[tokio::test]
async fn a_body_that_stalls_fails_and_is_answered() {
    let served = serve(plain_with(|limits| limits.body_stall = SHORT)).await;
    let mut socket = served.connect().await;
    let head = "POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc";
    let answer = exchange(&mut socket, head).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.ends_with("the request's body does not arrive"),
        "{answer}"
    );
    served.stopped().await;
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_still_answered() {
    let served = serve(plain()).await;
    for path in ["/unwanted", "/length"] {
        let size = 8 << 20;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n");
        let mut socket = served.connect().await;
        // The client looks for an answer only after it has sent everything.
        socket.write_all(head.as_bytes()).await.unwrap();
        within(socket.write_all(&vec![b'x'; size])).await.unwrap();
        let answer = read_answer(&mut socket).await;
        let expected = if path == "/length" {
            "8388608"
        } else {
            "too much"
        };
        assert!(answer.ends_with(expected), "{path}: {answer}");
        // And the connection is good for more.
        exchange(&mut socket, GET).await;
    }
    served.stopped().await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_not_asked_in_vain() {
    let served = serve(plain()).await;
    let mut socket = served.connect().await;
    let head = "POST /unwanted HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    let answer = exchange(&mut socket, head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let head = head.replace("/unwanted", "/length");
    let mut socket = served.connect().await;
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    within(socket.read_exact(&mut go_on)).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let answer = exchange(&mut socket, "0123456789").await;
    assert!(answer.ends_with("10"), "{answer}");
    served.stopped().await;
}

#[tokio::test]
async fn an_error_of_the_service_closes_without_an_answer() {
    let served = serve(plain()).await;
    let mut socket = served.connect().await;
    let request = GET.replace("/a", "/lost");
    socket.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, "");
    served.stopped().await;
}

#[tokio::test]
async fn a_panic_of_the_service_costs_one_connection() {
    let served = serve(plain()).await;
    let mut other = served.connect().await;
    exchange(&mut other, GET).await;
    let mut socket = served.connect().await;
    let request = GET.replace("/a", "/panic");
    socket.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, "");
    exchange(&mut other, GET).await;
    exchange(&mut served.connect().await, GET).await;
    served.stopped().await;
}

#[tokio::test]
async fn on_stop_watches_end_cleanly_and_nobody_new_is_served() {
    let mut served = serve(plain()).await;
    let mut watcher = served.connect().await;
    watcher
        .write_all(GET.replace("/a", "/endless").as_bytes())
        .await
        .unwrap();
    let mut idle = served.connect().await;
    exchange(&mut idle, GET).await;
    served.endless_answers(1).await;
    let address = served.address;
    served.stopped().await;
    // One chunk of one byte, then the chunk that ends a body.
    let answer = read_to_end(&mut watcher).await;
    assert!(
        answer.ends_with("\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        "{answer:?}"
    );
    assert_eq!(read_to_end(&mut idle).await, "");
    // Nobody listens there any more, unless it is another test that was given the same port.
    let free = async {
        while TcpListener::bind(address).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    within(free).await;
}

#[tokio::test]
async fn on_stop_connections_that_ask_nothing_are_not_waited_for() {
    let served = serve(plain()).await;
    let mut silent = served.connect().await;
    // Connections are accepted in order: the other one is there once this is answered.
    let mut idle = served.connect().await;
    exchange(&mut idle, GET).await;
    served.stopped().await;
    for socket in [&mut silent, &mut idle] {
        assert_eq!(read_to_end(socket).await, "");
    }

    let served = serve(secure()).await;
    let ca_pem = served.ca_pem.clone().unwrap();
    let mut silent = served.connect().await;
    let idle = connect_securely(&served, "localhost", &["http/1.1"], &ca_pem);
    let mut idle = idle.await.unwrap();
    exchange(&mut idle, GET).await;
    served.stopped().await;
    for socket in [&mut silent as &mut (dyn AsyncRead + Unpin), &mut idle] {
        assert_eq!(read_to_end(socket).await, "");
    }
}

#[tokio::test]
async fn on_stop_a_stuck_client_is_waited_for_no_longer_than_agreed() {
    let mut served = serve(plain_with(|limits| limits.stop = SHORT)).await;
    let mut stuck = served.connect().await;
    stuck
        .write_all(GET.replace("/a", "/flood").as_bytes())
        .await
        .unwrap();
    served.endless_answers(1).await;
    let mut endless = served.endless.clone();
    served.stopped().await;
    within(endless.wait_for(|alive| *alive == 0)).await.unwrap();
}

#[tokio::test]
async fn dropping_the_future_ends_every_request() {
    let mut served = serve(plain()).await;
    let mut watcher = served.connect().await;
    watcher
        .write_all(GET.replace("/a", "/endless").as_bytes())
        .await
        .unwrap();
    served.endless_answers(1).await;
    let mut endless = served.endless.clone();
    drop(served.serving);
    within(endless.wait_for(|alive| *alive == 0)).await.unwrap();
}
