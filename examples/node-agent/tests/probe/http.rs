//! Targets that are web servers; answers to `probe/http/http_test.go` and `request_test.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use node_agent::probe::{Answer, HttpClient, HttpPurpose, HttpTarget};
use parking_lot::Mutex;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::fixtures::DEADLINE;
use crate::taken_port::taken_port;

/// A server that answers each path by what stands for it, as it is. Ends when dropped.
struct Web {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Web {
    async fn serving(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::over(answer, None).await
    }

    async fn over(
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // A connection that is not answered is kept.
            let mut kept: Vec<Box<dyn std::any::Any + Send>> = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => kept.extend(exchange(stream, &answer, &seen).await),
                        Err(_) => continue,
                    },
                    None => kept.extend(exchange(stream, &answer, &seen).await),
                }
            }
        });
        Self {
            port,
            requests,
            _tasks: tasks,
        }
    }

    /// Asks the server as an action says.
    async fn probe(&self, action: Value) -> Answer {
        self.probe_within(action, DEADLINE).await
    }

    async fn probe_within(&self, mut action: Value, limit: Duration) -> Answer {
        action["port"] = self.port.into();
        let target = target(action);
        HttpClient::default().probe(&target, limit).await.unwrap()
    }

    /// The last request, in lower case.
    fn last(&self) -> String {
        self.requests.lock().last().unwrap().to_lowercase()
    }
}

type Kept = Option<Box<dyn std::any::Any + Send>>;

/// Answers a request; an empty answer leaves the connection open.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: S,
    answer: &(impl Fn(&str) -> String + Sync),
    seen: &Mutex<Vec<String>>,
) -> Kept {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    seen.lock().push(request);
    let answer = answer(&path);
    if answer.is_empty() || answer.ends_with('\u{1}') {
        let _ = stream
            .write_all(answer.trim_end_matches('\u{1}').as_bytes())
            .await;
        return Some(Box::new(stream));
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    None
}

fn target(action: Value) -> HttpTarget {
    let action: HTTPGetAction = serde_json::from_value(action).unwrap();
    let container = Container::default();
    HttpTarget::of(&action, &container, "127.0.0.1", HttpPurpose::Probe).unwrap()
}

fn page(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn success(text: &str) -> Answer {
    Answer::Success(text.to_owned())
}

fn failure(text: &str) -> Answer {
    Answer::Failure(text.to_owned())
}

/// Answers to `TestHTTPProbeChecker`.
#[tokio::test]
async fn http_probe_checker() {
    let web = Web::serving(|path| {
        let status: u16 = path.trim_start_matches('/').parse().unwrap_or(200);
        page(status, "", "a body")
    })
    .await;
    for (status, expected) in [
        (200, success("a body")),
        (204, success("")),
        (299, success("a body")),
        (
            304,
            Answer::Warning("Probe terminated redirects, Response body: ".into()),
        ),
        (
            302,
            Answer::Warning("Probe terminated redirects, Response body: a body".into()),
        ),
        (400, failure("HTTP probe failed with statuscode: 400")),
        (404, failure("HTTP probe failed with statuscode: 404")),
        (500, failure("HTTP probe failed with statuscode: 500")),
    ] {
        let probed = web.probe(json!({"path": format!("/{status}")})).await;
        assert_eq!(probed, expected);
    }
}

/// Answers to the headers of `TestHTTPProbeChecker` and of `TestNewHTTPProbeRequest`.
#[tokio::test]
async fn http_probe_request_headers() {
    let web = Web::serving(|_| page(200, "", "")).await;
    let authority = format!("127.0.0.1:{}", web.port);
    let header = |name: &str, value: &str| json!({"name": name, "value": value});
    for (given, has, lacks) in [
        (
            json!([]),
            vec![
                "user-agent: kube-probe/1.36".to_owned(),
                "accept: */*".to_owned(),
                format!("host: {authority}"),
            ],
            None,
        ),
        (
            json!([
                header("User-Agent", "foo/1.0"),
                header("Accept", "text/html")
            ]),
            vec!["user-agent: foo/1.0".into(), "accept: text/html".into()],
            None,
        ),
        (
            json!([header("User-Agent", "")]),
            vec!["accept: */*".into()],
            Some("user-agent"),
        ),
        (json!([header("Accept", "")]), vec![], Some("accept")),
        (
            json!([
                header("Host", "muffins.cupcakes.org"),
                header("X-M", "a"),
                header("X-M", "b")
            ]),
            vec![
                "host: muffins.cupcakes.org".into(),
                "x-m: a".into(),
                "x-m: b".into(),
            ],
            Some("host: 127"),
        ),
    ] {
        let probed = web.probe(json!({"path": "/", "httpHeaders": given})).await;
        assert_eq!(probed, success(""));
        let request = web.last();
        for line in has {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
        }
        let lacks = lacks.map(|name| format!("\r\n{name}"));
        assert!(
            !lacks.is_some_and(|name| request.contains(&name)),
            "{request}"
        );
    }
}

/// Answers to `TestFormatURL`.
#[tokio::test]
async fn format_url() {
    let web = Web::serving(|_| page(200, "", "")).await;
    for (path, sent) in [
        ("", "/"),
        ("/path", "/path"),
        ("path", "/path"),
        ("?foo", "/?foo"),
        ("/path?bar=1&baz", "/path?bar=1&baz"),
        ("/path#fragment", "/path"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
    ] {
        assert_eq!(web.probe(json!({"path": path})).await, success(""));
        let request = web.last();
        assert!(
            request.starts_with(&format!("get {sent} http/1.1\r\n")),
            "{request}"
        );
    }
}

/// Answers to `TestHTTPProbeChecker_NonLocalRedirects` and the redirects of e2e.
#[tokio::test]
async fn http_probe_checker_non_local_redirects() {
    let other = Web::serving(|_| page(200, "", "other port")).await;
    let other_port = other.port;
    let web = Web::serving(move |path| {
        let to = |location: &str| page(302, &format!("Location: {location}\r\n"), "moved");
        match path {
            "/local" => to("/fine"),
            "/relative/a" => to("b?c=d"),
            "/loop" => to("/loop"),
            "/away" => to("http://example.com/"),
            "/away-unseen" => to("//example.com/"),
            "/bad" => to("ftp://127.0.0.1/"),
            "/port" => to(&format!("http://127.0.0.1:{other_port}/")),
            "/local-to-500" => to("/500"),
            "/500" => page(500, "", ""),
            path => page(200, "", path),
        }
    })
    .await;
    let terminated = Answer::Warning("Probe terminated redirects, Response body: moved".into());
    let url = format!("http://127.0.0.1:{}", web.port);
    for (path, expected) in [
        ("/local", success("/fine")),
        ("/relative/a", success("/relative/b?c=d")),
        ("/away", terminated.clone()),
        ("/away-unseen", terminated),
        ("/port", success("other port")),
        (
            "/local-to-500",
            failure("HTTP probe failed with statuscode: 500"),
        ),
        (
            "/loop",
            failure(&format!("Get \"{url}/loop\": stopped after 10 redirects")),
        ),
        (
            "/bad",
            failure(&format!(
                "Get \"{url}/bad\": unsupported protocol scheme \"ftp\""
            )),
        ),
    ] {
        let headers = json!([{"name": "Host", "value": "kept"}]);
        let probed = web
            .probe(json!({"path": path, "httpHeaders": headers}))
            .await;
        assert_eq!(probed, expected, "{path}");
        assert!(web.last().contains("host: kept"));
    }
    assert!(
        other
            .last()
            .contains(&format!("host: 127.0.0.1:{other_port}\r\n"))
    );
}

/// Answers to `TestHTTPProbeChecker_PayloadTruncated` and `..PayloadNormal`.
#[tokio::test]
async fn http_probe_checker_payload_truncated() {
    let web = Web::serving(|path| {
        let length = if path == "/long" { 50 << 10 } else { 10 << 10 };
        page(200, "", &"x".repeat(length))
    })
    .await;
    for path in ["/long", "/normal"] {
        let probed = web.probe(json!({"path": path})).await;
        assert_eq!(probed, success(&"x".repeat(10 << 10)));
    }
}

#[tokio::test]
async fn what_does_not_answer_in_time_has_failed() {
    let web = Web::serving(|path| match path {
        "/head" => String::new(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf\u{1}".to_owned(),
    })
    .await;
    let limit = Duration::from_millis(100);
    let late = failure(&format!(
        "Get \"http://127.0.0.1:{}/head\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        web.port
    ));
    assert_eq!(
        web.probe_within(json!({"path": "/head"}), limit).await,
        late
    );
    // Long enough for the head of an answer on a machine that is busy.
    let limit = Duration::from_secs(5);
    let target = target(json!({"path": "/body", "port": web.port}));
    let error = HttpClient::default()
        .probe(&target, limit)
        .await
        .unwrap_err();
    let late =
        "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
    assert_eq!(error.to_string(), late);
}

#[tokio::test]
async fn nobody_listens() {
    let (_taken, port) = taken_port();
    let target = target(json!({"path": "/x", "port": port}));
    let probed = HttpClient::default()
        .probe(&target, DEADLINE)
        .await
        .unwrap();
    let expected = format!(
        "Get \"http://127.0.0.1:{port}/x\": dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    assert_eq!(probed, Answer::Failure(expected));
}

/// Answers to `TestHTTPSProbeChecker`: certificates are not verified.
#[tokio::test]
async fn https_probe_checker() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["elsewhere".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let web = Web::over(|_| page(200, "", "secret"), Some(tls)).await;
    let probed = web.probe(json!({"path": "/", "scheme": "HTTPS"})).await;
    assert_eq!(probed, success("secret"));
    // And one that speaks no TLS where some is expected has failed.
    let plain = Web::serving(|_| page(200, "", "")).await;
    let limit = Duration::from_millis(200);
    let action = json!({"path": "/", "scheme": "HTTPS"});
    let probed = plain.probe_within(action, limit).await;
    assert!(matches!(probed, Answer::Failure(_)), "{probed:?}");
}

#[test]
fn headers_are_not_told() {
    let headers = json!([{"name": "Authorization", "value": "hidden"}]);
    let target = target(json!({"path": "/", "port": 1, "httpHeaders": headers}));
    let text = format!("{target:?}");
    assert!(
        text.contains("authorization") && !text.contains("hidden"),
        "{text}"
    );
}
