//! Input that is wrong, in process and over a socket: it is refused as a cluster refuses it,
//! nothing is stored, and others are served on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::TryFutureExt as _;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::serve::{
    Authentication, Listener, ListenerConfig, RequestBody, Transport,
};
use kubewright_apiserver::{ApiServer, Config, ResponseBody, ServiceError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

const DEADLINE: Duration = Duration::from_secs(30);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const JSON: &str = "application/json";

struct Case {
    request: &'static str,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
    code: u16,
    reason: &'static str,
    /// What the message contains.
    says: &'static str,
}

fn set(selects: &str, labels: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": selects } },
            "template": {
                "metadata": { "labels": { "app": labels } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    })
}

type Row = (
    &'static str,
    String,
    &'static str,
    Vec<u8>,
    u16,
    &'static str,
    &'static str,
);

/// `METHOD path`, content type, body, and the answer: code, reason, and a part of the message.
fn table() -> Vec<Case> {
    let big = format!(
        r#"{{"metadata":{{"name":"a"}},"data":{{"k":"{}"}}}}"#,
        "x".repeat(3 << 20)
    );
    let named = |name: &str| json!({ "metadata": { "name": name } }).to_string();
    let list = |query: &str| format!("{CONFIG_MAPS}?{query}");
    let there = format!("{CONFIG_MAPS}/there");
    let rows: Vec<Row> = vec![
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            big.into(),
            413,
            "RequestEntityTooLarge",
            "3145728",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "text/plain",
            named("a").into(),
            415,
            "UnsupportedMediaType",
            "application/json",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            br#"{"metadata":{"name":"a""#.into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"[]".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            b"{\"metadata\":{\"name\":\"\xff\"}}".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "application/yaml",
            b"metadata: [".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            "application/vnd.kubernetes.protobuf",
            b"k8s\0\x0a\xff".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            named("Bad_Name").into(),
            422,
            "Invalid",
            "metadata.name",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            named("").into(),
            422,
            "Invalid",
            "name or generateName is required",
        ),
        (
            "POST",
            SETS.into(),
            JSON,
            set("web", "other").to_string().into(),
            422,
            "Invalid",
            "spec.template.metadata.labels",
        ),
        (
            "POST",
            "/api/v1/namespaces/missing/configmaps".into(),
            JSON,
            named("a").into(),
            404,
            "NotFound",
            "missing",
        ),
        (
            "POST",
            CONFIG_MAPS.into(),
            JSON,
            br#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}"#.into(),
            400,
            "BadRequest",
            "Secret",
        ),
        (
            "PUT",
            there.clone(),
            JSON,
            named("other").into(),
            400,
            "BadRequest",
            "there",
        ),
        (
            "PUT",
            there.clone(),
            JSON,
            br#"{"metadata":{"name":"there","resourceVersion":"1"}}"#.into(),
            409,
            "Conflict",
            "has been modified",
        ),
        (
            "PATCH",
            there.clone(),
            "text/plain",
            b"{}".into(),
            415,
            "UnsupportedMediaType",
            "",
        ),
        (
            "PATCH",
            there.clone(),
            "application/json-patch+json",
            b"{}".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "PATCH",
            there.clone(),
            "application/merge-patch+json",
            b"[1".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "DELETE",
            there,
            JSON,
            br#"{"propagationPolicy":"#.into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "GET",
            list("labelSelector=a+in"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "",
        ),
        (
            "GET",
            list("fieldSelector=x.y%3Dz"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "x.y",
        ),
        (
            "GET",
            list("continue=garbage"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "continue",
        ),
        (
            "GET",
            list("resourceVersion=new"),
            JSON,
            b"".into(),
            400,
            "BadRequest",
            "new",
        ),
        (
            "GET",
            list("resourceVersion=999999999"),
            JSON,
            b"".into(),
            504,
            "Timeout",
            "Too large resource version",
        ),
        (
            "GET",
            "/api/v1/nonsense".into(),
            JSON,
            b"".into(),
            404,
            "NotFound",
            "",
        ),
        (
            "POST",
            "/api/v1/configmaps".into(),
            JSON,
            named("a").into(),
            405,
            "MethodNotAllowed",
            "",
        ),
    ];
    rows.into_iter()
        .map(
            |(request, path, content_type, body, code, reason, says)| Case {
                request,
                path,
                content_type,
                body,
                code,
                reason,
                says,
            },
        )
        .collect()
}

impl Case {
    #[track_caller]
    fn check(&self, code: u16, body: &[u8]) {
        let Self { request, path, .. } = self;
        let body = String::from_utf8_lossy(body);
        let status: Value = serde_json::from_str(&body).unwrap_or_default();
        let (reason, message) = (
            &status["reason"],
            status["message"].as_str().unwrap_or_default(),
        );
        let right = code == self.code
            && *reason == self.reason
            && status["code"] == self.code
            && message.contains(self.says);
        let content = String::from_utf8_lossy(&self.body[..self.body.len().min(100)]);
        assert!(right, "{request} {path} {content}: {code} {body}");
    }
}

async fn server() -> ApiServer {
    let server = ApiServer::new(Config::default()).unwrap();
    let body = json!({ "metadata": { "name": "there" } }).to_string();
    let request = Request::post(CONFIG_MAPS)
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let created = server.service().call(request).await.unwrap();
    assert_eq!(created.status(), 201);
    server
}

#[tokio::test(start_paused = true)]
async fn in_process_it_is_refused_and_changes_nothing() {
    let server = server().await;
    let version = server.resource_version();
    for case in table() {
        let request = Request::builder()
            .method(case.request)
            .uri(&case.path)
            .header("content-type", case.content_type)
            .body(Full::<Bytes>::from(case.body.clone()))
            .unwrap();
        let response = server.service().call(request).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        case.check(code, &body);
    }
    assert_eq!(server.resource_version(), version);
}

/// The body of an answer, which shows that it has not ended.
struct Counted {
    body: ResponseBody,
    _guard: Arc<()>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = ServiceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ServiceError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A server behind a listener.
struct Served {
    server: ApiServer,
    address: String,
    /// Held by every answer that has not ended.
    open: Arc<()>,
    _serving: JoinSet<()>,
}

impl Served {
    async fn start(change: impl FnOnce(&mut ListenerConfig)) -> Self {
        Self::of(server().await, change).await
    }

    async fn of(server: ApiServer, change: impl FnOnce(&mut ListenerConfig)) -> Self {
        let mut config = ListenerConfig::default();
        config.transport = Transport::Http;
        config.authentication = Authentication::Anyone;
        change(&mut config);
        let listener = Listener::bind(config).await.unwrap();
        let address = listener.address().to_string();
        let open = Arc::new(());
        let guard = Arc::clone(&open);
        let inner = server.service();
        let service = tower::service_fn(move |request: Request<RequestBody>| {
            let answer = inner.clone().call(request);
            let guard = Arc::clone(&guard);
            answer.map_ok(|response| {
                response.map(|body| Counted {
                    body,
                    _guard: guard,
                })
            })
        });
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(service, CancellationToken::new()));
        Self {
            server,
            address,
            open,
            _serving: serving,
        }
    }

    /// How many answers have not ended, and clones of the service there are.
    fn open_answers(&self) -> usize {
        Arc::strong_count(&self.open)
    }

    async fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(&self.address).await.unwrap())
    }

    /// Sends bytes and reads the answer, as clients do that send all before they read.
    async fn exchange(&self, socket: &mut BufReader<TcpStream>, bytes: &[u8]) -> (u16, Vec<u8>) {
        let exchange = async {
            socket.get_mut().write_all(bytes).await.unwrap();
            let mut line = String::new();
            socket.read_line(&mut line).await.unwrap();
            let code = line
                .split(' ')
                .nth(1)
                .expect("a status line")
                .parse()
                .unwrap();
            let mut length = 0;
            loop {
                line.clear();
                socket.read_line(&mut line).await.unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim_end().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.unwrap();
            (code, body)
        };
        timeout(DEADLINE, exchange)
            .await
            .expect("an answer in time")
    }
}

#[tokio::test]
async fn over_a_socket_it_is_refused_the_same_and_the_connection_goes_on() {
    let served = Served::start(|_| {}).await;
    let version = served.server.resource_version();
    let mut socket = served.connect().await;
    for case in table() {
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\n",
            case.request, case.path, case.content_type
        );
        let known = format!("{head}Content-Length: {}\r\n\r\n", case.body.len());
        let known = [known.as_bytes(), &case.body].concat();
        let (code, body) = served.exchange(&mut socket, &known).await;
        case.check(code, &body);

        if case.body.is_empty() {
            continue;
        }
        // The same without saying how much comes.
        let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for chunk in case.body.chunks(64 << 10) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let (code, body) = served.exchange(&mut socket, &chunked).await;
        case.check(code, &body);
    }
    assert_eq!(served.server.resource_version(), version);
}

#[tokio::test]
async fn what_is_no_http_is_answered_and_closed() {
    let served = Served::start(|_| {}).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    for (bytes, answers) in [
        ("nonsense\r\n\r\n", &["HTTP/1.1 400 "][..]),
        ("GET /\u{1} HTTP/1.1\r\n\r\n", &["HTTP/1.1 400 "]),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
            &["HTTP/1.1 400 "],
        ),
        (&long, &["HTTP/1.1 431 ", ""]),
    ] {
        let mut socket = served.connect().await;
        // The server may close before it has read all.
        let _ = socket.get_mut().write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(DEADLINE, socket.read_to_end(&mut answer))
            .await
            .expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answers.iter().any(|expected| answer.starts_with(expected)),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_stored() {
    let served =
        Served::start(|config| config.limits.body_stall = Duration::from_millis(100)).await;
    let version = served.server.resource_version();
    let half = format!(
        "POST {CONFIG_MAPS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n\
         Content-Length: 1000\r\n\r\n{{\"metadata\":{{\"name\":\"half\"}}}}"
    );
    // One client goes away, one just stops.
    let mut gone = served.connect().await;
    gone.get_mut().write_all(half.as_bytes()).await.unwrap();
    drop(gone);
    let mut stuck = served.connect().await;
    let (code, body) = served.exchange(&mut stuck, half.as_bytes()).await;
    let status: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")));
    assert_eq!(served.server.resource_version(), version);
}

#[tokio::test]
async fn a_stuck_watcher_holds_up_nobody_and_is_cut_off() {
    const CHANGES: usize = 16;
    let patient = Served::start(|_| {}).await;
    let served = Served::of(patient.server.clone(), |config| {
        config.limits.write_stall = Duration::from_millis(100);
    });
    let served = served.await;
    let watch = format!(
        "GET {CONFIG_MAPS}?watch=true&resourceVersion=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    let idle = served.open_answers();
    let small = TcpSocket::new_v4().unwrap();
    // So that what is told soon does not fit.
    small.set_recv_buffer_size(4096).unwrap();
    let mut stuck = small
        .connect(served.address.parse().unwrap())
        .await
        .unwrap();
    stuck.write_all(watch.as_bytes()).await.unwrap();
    let mut reader = patient.connect().await;
    reader.get_mut().write_all(watch.as_bytes()).await.unwrap();
    let mut line = String::new();
    let begin = async {
        while !line.starts_with(r#"{"type":"ADDED""#) {
            line.clear();
            reader.read_line(&mut line).await.unwrap();
        }
        while served.open_answers() == idle {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, begin).await.expect("both watches begin");

    let mut tasks = JoinSet::new();
    let server = served.server.clone();
    tasks.spawn(async move {
        for number in 0..CHANGES {
            let data = format!("{number}{}", "x".repeat(512 << 10));
            let body = json!({ "metadata": { "name": "there" }, "data": { "k": data } });
            let request = Request::put(format!("{CONFIG_MAPS}/there"));
            let request = request.body(Full::<Bytes>::from(body.to_string())).unwrap();
            let response = server.service().call(request).await.unwrap();
            assert_eq!(response.status(), 200);
        }
    });
    let read = async {
        let mut modified = 0;
        while modified < CHANGES {
            line.clear();
            let length = reader.read_line(&mut line).await.unwrap();
            assert_ne!(length, 0, "the watch goes on");
            modified += usize::from(line.starts_with(r#"{"type":"MODIFIED""#));
        }
    };
    timeout(DEADLINE, read)
        .await
        .expect("others are not held up");
    tasks.join_next().await.unwrap().unwrap();

    // The server gives up, which shows on this side once it is looked for.
    let cut = async {
        while served.open_answers() > idle {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, cut).await.expect("it is cut off");
    let mut told = Vec::new();
    let _ = timeout(DEADLINE, stuck.read_to_end(&mut told))
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&told);
    let told = told.matches(r#"{"type":"MODIFIED""#).count();
    assert!(told < CHANGES, "{told} of {CHANGES} fit");
}
