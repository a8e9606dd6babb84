//! Commands, streams of containers and ports, between a client and a runtime.

use std::sync::Arc;
use std::time::Duration;

use node_agent::server::Streams;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::host::{Asked, FakeHost, UID};
use crate::taken_port::taken_port;
use crate::{ANY_PORT, DEADLINE, Served, open};

/// A runtime that gives its connections over to an echo: it sends back what comes, and when nothing
/// comes any more it says so and ends.
struct Runtime {
    url: String,
    /// The heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
    /// Connections that ended.
    ended: mpsc::Receiver<()>,
    _running: JoinSet<()>,
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
     Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n";

impl Runtime {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let url = format!("http://{}/stream/token?x=1", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = mpsc::channel(16);
        let mut running = JoinSet::new();
        running.spawn({
            let heads = Arc::clone(&heads);
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    let (heads, end) = (Arc::clone(&heads), end.clone());
                    connections.spawn(async move {
                        let mut socket = BufReader::new(socket);
                        let head = head(&mut socket).await;
                        heads.lock().push(head);
                        socket.write_all(answer.as_bytes()).await.unwrap();
                        let mut block = [0; 1024];
                        while let Ok(read @ 1..) = socket.read(&mut block).await {
                            if socket.write_all(&block[..read]).await.is_err() {
                                break;
                            }
                        }
                        let _ = socket.write_all(b"bye").await;
                        let _ = socket.shutdown().await;
                        let _ = end.send(()).await;
                    });
                }
            }
        });
        Self {
            url,
            heads,
            ended,
            _running: running,
        }
    }
}

/// Reads until the empty line after the head of a request or an answer.
async fn head(socket: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
    };
    timeout(DEADLINE, read).await.unwrap();
    String::from_utf8(head).unwrap()
}

/// Asks a server for an upgrade, and returns the connection and the head of the answer.
async fn upgrade(
    server: &Served,
    method: &str,
    target: &str,
) -> (tokio_rustls::client::TlsStream<TcpStream>, String) {
    let mut socket = server.connect().await;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         X-Stream-Protocol-Version: v4.channel.k8s.io\r\nAuthorization: Bearer secret\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut socket).await;
    (socket, head)
}

async fn speak(socket: &mut (impl AsyncReadWrite + Unpin)) {
    socket.write_all(b"hello").await.unwrap();
    socket.flush().await.unwrap();
    let mut echo = [0; 5];
    timeout(DEADLINE, socket.read_exact(&mut echo))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&echo, b"hello");
}

trait AsyncReadWrite: tokio::io::AsyncRead + tokio::io::AsyncWrite {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite> AsyncReadWrite for S {}

/// Sends all that is to be sent, and reads what comes to the end.
async fn finish(mut socket: impl AsyncReadWrite + Unpin) -> String {
    socket.shutdown().await.unwrap();
    let mut rest = String::new();
    timeout(DEADLINE, socket.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    rest
}

fn streams(stdin: bool, stdout: bool, stderr: bool, tty: bool) -> Streams {
    Streams {
        stdin,
        stdout,
        stderr,
        tty,
    }
}

/// What [`exec_attach`] has in common for both.
async fn exec_attach(verb: &str, asked: impl Fn(Streams) -> Asked) {
    let cases = [
        ("", None),
        ("&tty=1", None),
        ("&tty=1&error=1", None),
        ("&stdin=1&stdout=1", None),
        ("&output=true", None),
        ("&input=1", Some(streams(true, false, false, false))),
        ("&output=1", Some(streams(false, true, false, false))),
        ("&error=1", Some(streams(false, false, true, false))),
        ("&output=1&error=1", Some(streams(false, true, true, false))),
        (
            "&input=1&output=1&error=1",
            Some(streams(true, true, true, false)),
        ),
        (
            "&input=1&output=1&error=1&tty=1",
            Some(streams(true, true, false, true)),
        ),
    ];
    for (query, expected) in cases {
        for (uid, method) in [
            ("", "POST"),
            ("", "GET"),
            (UID, "POST"),
            ("of-the-mirror", "POST"),
        ] {
            let runtime = Runtime::start(SWITCHING).await;
            let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
            let slash = if uid.is_empty() { "" } else { "/" };
            let target =
                format!("/{verb}/other/foo/{uid}{slash}baz?ignore=1&command=ls&command=-a{query}");
            let Some(expected) = expected else {
                let answered = server.send(method, &target, &[]).await;
                let text = "you must specify at least 1 of stdin, stdout, stderr";
                assert_eq!(
                    (answered.code, answered.text.as_str()),
                    (400, text),
                    "{query}"
                );
                continue;
            };
            let (mut socket, head) = upgrade(&server, method, &target).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert!(
                head.to_lowercase()
                    .contains("x-stream-protocol-version: v4.channel.k8s.io")
            );
            speak(&mut socket).await;
            assert_eq!(
                finish(socket).await,
                "bye",
                "what comes after the end of the input"
            );
            assert_eq!(*server.host.asked.lock(), [asked(expected)]);

            let head = runtime.heads.lock()[0].to_lowercase();
            let line = format!("{} /stream/token?x=1 http/1.1\r\n", method.to_lowercase());
            assert!(head.starts_with(&line), "{head}");
            assert!(head.contains("upgrade: spdy/3.1\r\n"), "{head}");
            assert!(head.contains("x-stream-protocol-version: v4.channel.k8s.io\r\n"));
            assert!(
                !head.contains("secret"),
                "the client's token is the agent's to know"
            );
        }
    }
}

/// Answers to `TestServeExecInContainer`.
#[tokio::test]
async fn serve_exec_in_container() {
    exec_attach("exec", |streams| {
        let command = vec!["ls".to_owned(), "-a".to_owned()];
        Asked::Exec("foo_other".to_owned(), "baz".to_owned(), command, streams)
    })
    .await;
}

/// Answers to `TestServeAttachContainer`.
#[tokio::test]
async fn serve_attach_container() {
    exec_attach("attach", |streams| {
        Asked::Attach("foo_other".to_owned(), "baz".to_owned(), streams)
    })
    .await;
}

/// Answers to `TestServePortForward`; what is in the stream, ports included, is the runtime's.
#[tokio::test]
async fn serve_port_forward() {
    let runtime = Runtime::start(SWITCHING).await;
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    for target in [
        "/portForward/other/foo".to_owned(),
        format!("/portForward/other/foo/{UID}"),
    ] {
        let (mut socket, head) = upgrade(&server, "POST", &target).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        speak(&mut socket).await;
        assert_eq!(finish(socket).await, "bye");
    }
    let asked = Asked::PortForward("foo_other".to_owned(), vec![]);
    assert_eq!(*server.host.asked.lock(), [asked.clone(), asked]);
    let (_, head) = upgrade(&server, "POST", "/portForward/other/foo/another").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

async fn idle(target: &str) {
    let mut runtime = Runtime::start(SWITCHING).await;
    let server = Served::with(FakeHost::streaming_at(&runtime.url), open(), |options| {
        options.streaming_idle_timeout = Duration::from_millis(100);
    });
    let server = server.await;
    let (mut socket, head) = upgrade(&server, "POST", target).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut rest = Vec::new();
    // How a connection that is given up ends is up to TLS.
    let _ = timeout(DEADLINE, socket.read_to_end(&mut rest))
        .await
        .expect("it ends");
    timeout(DEADLINE, runtime.ended.recv())
        .await
        .unwrap()
        .unwrap();
}

/// Answers to `TestServeExecInContainerIdleTimeout`.
#[tokio::test]
async fn serve_exec_in_container_idle_timeout() {
    idle("/exec/other/foo/baz?command=ls&input=1").await;
}

/// Answers to `TestServePortForwardIdleTimeout`.
#[tokio::test]
async fn serve_port_forward_idle_timeout() {
    idle("/portForward/other/foo").await;
}

#[tokio::test]
async fn what_else_the_runtime_answers_is_passed_on() {
    let answer =
        "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\nX-Why: token\r\n\r\nunknown token";
    let runtime = Runtime::start(answer).await;
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    let upgrade = [("connection", "upgrade"), ("upgrade", "SPDY/3.1")];
    let target = "/exec/other/foo/baz?command=ls&output=1";
    let answered = server.send("POST", target, &upgrade).await;
    assert_eq!(
        (answered.code, answered.text.as_str()),
        (404, "unknown token")
    );
    assert_eq!(answered.headers["x-why"], "token");
    server.stop().await;
}

/// Nor does it wait for a body: what a client says of its own is not passed on.
#[tokio::test]
async fn the_runtime_is_told_of_no_body() {
    let runtime = Runtime::start(SWITCHING).await;
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    let mut socket = server.connect().await;
    let request = "POST /exec/other/foo/baz?command=ls&output=1 HTTP/1.1\r\nHost: node\r\n\
                   Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 5\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let asked = async {
        while runtime.heads.lock().is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, asked).await.unwrap();
    let head = runtime.heads.lock()[0].to_lowercase();
    assert!(!head.contains("content-length: 5"), "{head}");
}

#[tokio::test]
async fn what_cannot_be_streamed_is_told() {
    let (_taken, port) = taken_port();
    let gone = format!("http://127.0.0.1:{port}/x");
    let upgrade = [("connection", "upgrade"), ("upgrade", "SPDY/3.1")];
    for (url, code, text) in [
        (gone.as_str(), 502, "error dialing backend: "),
        (
            "http://10.0.0.1:1/x",
            500,
            "the runtime streams at \"10.0.0.1\", which is not on",
        ),
        (
            "https://127.0.0.1:1/x",
            500,
            "the runtime streams over \"https\"; only http",
        ),
        ("", 500, "the runtime answered no URL"),
    ] {
        let server = Served::start(FakeHost::streaming_at(url)).await;
        let target = "/exec/other/foo/baz?command=ls&output=1";
        let answered = server.send("POST", target, &upgrade).await;
        assert_eq!(answered.code, code, "{url}");
        assert!(answered.text.starts_with(text), "{}", answered.text);
    }
    let server = Served::start(FakeHost::default()).await;
    for (target, headers, code, text) in [
        (
            "/exec/other/foo/bay?command=ls&output=1",
            &upgrade[..],
            404,
            "container not found (\"bay\")",
        ),
        (
            "/exec/other/bar/baz?command=ls&output=1",
            &upgrade,
            404,
            "pod does not exist",
        ),
        (
            "/exec/other/foo/x/baz?command=ls&output=1",
            &upgrade,
            404,
            "pod not found",
        ),
        (
            "/attach/other/foo/baz?output=1",
            &upgrade,
            500,
            "nobody streams",
        ),
    ] {
        let answered = server.send("POST", target, headers).await;
        assert_eq!(
            (answered.code, answered.text.as_str()),
            (code, text),
            "{target}"
        );
    }
    let server = Served::start(FakeHost::streaming_at("http://127.0.0.1:1/x")).await;
    let answered = server
        .send("POST", "/attach/other/foo/baz?output=1", &[])
        .await;
    assert_eq!(
        (answered.code, answered.text.as_str()),
        (400, "Upgrade request required")
    );
}

#[tokio::test]
async fn no_stream_outlives_the_server() {
    let mut runtime = Runtime::start(SWITCHING).await;
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    let target = "/exec/other/foo/baz?command=ls&input=1";
    let (mut socket, _) = upgrade(&server, "POST", target).await;
    speak(&mut socket).await;
    server.stop().await;
    timeout(DEADLINE, runtime.ended.recv())
        .await
        .unwrap()
        .unwrap();

    // Nor does it outlive one that is dropped.
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    let (mut socket, _) = upgrade(&server, "POST", target).await;
    speak(&mut socket).await;
    drop(server);
    timeout(DEADLINE, runtime.ended.recv())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_client_that_goes_ends_its_stream() {
    let mut runtime = Runtime::start(SWITCHING).await;
    let server = Served::start(FakeHost::streaming_at(&runtime.url)).await;
    let target = "/exec/other/foo/baz?command=ls&input=1";
    let (mut socket, _) = upgrade(&server, "POST", target).await;
    speak(&mut socket).await;
    drop(socket);
    timeout(DEADLINE, runtime.ended.recv())
        .await
        .unwrap()
        .unwrap();
    server.stop().await;
}
