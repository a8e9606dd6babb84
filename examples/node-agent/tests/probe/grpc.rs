//! Targets that speak `grpc.health.v1`; answers to `probe/grpc/grpc_test.go`.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use node_agent::probe::{Answer, Ask as _, Question, Target, Targets};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fixtures::id;
use crate::taken_port::taken_port;

/// How a server answers.
#[derive(Clone, Copy)]
enum Health {
    /// With this serving status.
    Status(u8),
    /// With this gRPC code.
    Code(&'static str),
    /// Not at all.
    Silent,
}

/// Serves on loopback; returns the port. It ends with the tasks.
async fn serve(health: Health, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |request| answer(health, request));
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    port
}

async fn answer(
    health: Health,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let agent = request.headers()["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("kube-probe/1.36"), "{agent}");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    // One field, number 1, of two bytes.
    assert_eq!(&body[5..], b"\x0a\x02me");
    let mut frames = Vec::new();
    let mut trailers = http::HeaderMap::new();
    let response = Response::builder().header("content-type", "application/grpc");
    match health {
        Health::Silent => std::future::pending::<()>().await,
        Health::Status(status) => {
            frames.push(Ok(Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]))));
            trailers.insert("grpc-status", "0".parse().unwrap());
        }
        Health::Code(code) => {
            trailers.insert("grpc-status", code.parse().unwrap());
            trailers.insert("grpc-message", "what".parse().unwrap());
        }
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let body = StreamBody::new(futures::stream::iter(frames)).boxed();
    Ok(response.body(body).unwrap())
}

async fn probe(port: u16, timeout: Duration) -> Answer {
    let targets = Targets::new(Runtime::in_process(FakeRuntime::default()));
    let target = Target::Grpc {
        host: "127.0.0.1".into(),
        port,
        service: "me".into(),
    };
    let question = Question {
        container: id("id"),
        target,
        timeout,
    };
    targets.ask(&question).await.unwrap()
}

/// Answers to `TestGrpcProber_Probe`.
#[tokio::test]
async fn grpc_prober_probe() {
    let mut tasks = JoinSet::new();
    let failure = |text: &str| Answer::Failure(text.to_owned());
    for (health, expected) in [
        (Health::Status(1), Answer::Success("service healthy".into())),
        (
            Health::Status(2),
            failure("service unhealthy (responded with \"NOT_SERVING\")"),
        ),
        (
            Health::Status(3),
            failure("service unhealthy (responded with \"SERVICE_UNKNOWN\")"),
        ),
        (
            Health::Status(0),
            failure("service unhealthy (responded with \"UNKNOWN\")"),
        ),
        (
            Health::Code("12"),
            failure(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): what",
            ),
        ),
        (
            Health::Code("5"),
            failure("error: health rpc probe failed: rpc error: code = NotFound desc = what"),
        ),
    ] {
        let port = serve(health, &mut tasks).await;
        assert_eq!(probe(port, Duration::from_secs(10)).await, expected);
    }
    let port = serve(Health::Silent, &mut tasks).await;
    let late = failure("timeout: health rpc did not complete within 3s");
    assert_eq!(probe(port, Duration::from_secs(3)).await, late);

    let (_taken, port) = taken_port();
    let refused = format!(
        "error: failed to connect service at \"127.0.0.1:{port}\": dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    let probed = probe(port, Duration::from_secs(10)).await;
    assert_eq!(probed, Answer::Failure(refused));
}
