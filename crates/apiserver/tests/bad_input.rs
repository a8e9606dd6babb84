//! Input that is wrong, in process and over a socket: it is refused as a cluster refuses it,
//! nothing is stored, and others are served on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "bad_input/served.rs"]
mod served;
#[path = "bad_input/table.rs"]
mod table;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::{ApiServer, Config};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tower::Service as _;

use crate::served::Served;
use crate::table::table;

/// How long a test waits for what must happen, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";

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
    for (bytes, code) in [
        ("nonsense\r\n\r\n", 400),
        ("GET /\u{1} HTTP/1.1\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
            400,
        ),
        (&long, 431),
    ] {
        let mut socket = served.connect().await;
        // The server may close before it has read all.
        let _ = socket.get_mut().write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(DEADLINE, socket.read_to_end(&mut answer))
            .await
            .expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        // An answer to what was not read is lost if the client is told that first.
        let is_lost = code == 431 && answer.is_empty();
        assert!(
            is_lost || answer.starts_with(&format!("HTTP/1.1 {code} ")),
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
    let patient = Served::start(|_| {}).await;
    let served = Served::of(patient.server.clone(), |config| {
        config.limits.write_stall = Duration::from_millis(100);
    });
    let served = served.await;
    let watch = format!(
        "GET {CONFIG_MAPS}?watch=true&resourceVersion=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
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
        served.open_answers(1).await;
    };
    timeout(DEADLINE, begin).await.expect("both watches begin");

    // However much the system keeps for the sockets: the server gives up in the end.
    let is_cut_off = served.open_answers(0);
    let changes = async {
        for number in 0.. {
            change(&served.server, number).await;
            line.clear();
            while !line.starts_with(r#"{"type":"MODIFIED""#) {
                line.clear();
                let read = timeout(DEADLINE, reader.read_line(&mut line)).await;
                let length = read.expect("others are not held up").unwrap();
                assert_ne!(length, 0, "the watch goes on");
            }
        }
    };
    tokio::select! {
        cut = timeout(DEADLINE, is_cut_off) => cut.expect("it is cut off"),
        () = changes => {}
    }
    let mut told = Vec::new();
    let _ = timeout(DEADLINE, stuck.read_to_end(&mut told))
        .await
        .unwrap();
    assert!(!told.ends_with(b"0\r\n\r\n"), "it did not come to its end");
}

/// Changes the config map `there` by half a megabyte.
async fn change(server: &ApiServer, number: usize) {
    let data = format!("{number}{}", "x".repeat(512 << 10));
    let body = json!({ "metadata": { "name": "there" }, "data": { "k": data } });
    let request = Request::put(format!("{CONFIG_MAPS}/there"));
    let request = request.body(Full::<Bytes>::from(body.to_string())).unwrap();
    let response = server.service().call(request).await.unwrap();
    assert_eq!(response.status(), 200);
}
