use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Endpoint, Uri};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::ask::Answer;
use super::tcp::{address, connect};

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// Asks a server whether it is healthy.
pub(super) async fn probe(host: &str, port: u16, service: &str, timeout: Duration) -> Answer {
    let deadline = Instant::now() + timeout;
    let stream = match timeout_at(deadline, connect(host, port)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(reason)) => return failed_to_connect(host, port, &reason),
        Err(_) => {
            let address = address(host, port);
            return Answer::Failure(format!(
                "timeout: failed to connect service {address:?} within {timeout:?}: context deadline exceeded"
            ));
        }
    };
    match timeout_at(deadline, check(host, port, service, stream)).await {
        Ok(answer) => answer,
        Err(_) => Answer::Failure(format!(
            "timeout: health rpc did not complete within {timeout:?}"
        )),
    }
}

fn failed_to_connect(host: &str, port: u16, reason: &dyn std::fmt::Display) -> Answer {
    let address = address(host, port);
    Answer::Failure(format!(
        "error: failed to connect service at {address:?}: {reason}"
    ))
}

async fn check(host: &str, port: u16, service: &str, stream: TcpStream) -> Answer {
    let failed = |error: tonic::transport::Error| failed_to_connect(host, port, &error);
    // There is one connection, and it is used once.
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| std::io::Error::other("the connection was lost")) }
    });
    let endpoint = match Endpoint::try_from(format!("http://{}", address(host, port)))
        .and_then(|endpoint| endpoint.user_agent("kube-probe/1.36"))
    {
        Ok(endpoint) => endpoint,
        Err(error) => return failed(error),
    };
    let channel = match endpoint.connect_with_connector(connector).await {
        Ok(channel) => channel,
        Err(error) => return failed(error),
    };
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return failed(error);
    }
    let request = Request::new(HealthCheckRequest {
        service: service.to_owned(),
    });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    match client.unary(request, path, codec).await {
        Ok(response) => judge(response.get_ref()),
        Err(status) => Answer::Failure(refusal(&status)),
    }
}

fn judge(response: &HealthCheckResponse) -> Answer {
    let status = match response.status() {
        ServingStatus::Serving => return Answer::Success("service healthy".to_owned()),
        ServingStatus::NotServing => "NOT_SERVING",
        ServingStatus::ServiceUnknown => "SERVICE_UNKNOWN",
        ServingStatus::Unknown => "UNKNOWN",
    };
    Answer::Failure(format!("service unhealthy (responded with {status:?})"))
}

fn refusal(status: &Status) -> String {
    if status.code() == Code::Unimplemented {
        let message = status.message();
        return format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        );
    }
    format!(
        "error: health rpc probe failed: rpc error: code = {:?} desc = {}",
        status.code(),
        status.message()
    )
}
