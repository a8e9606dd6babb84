use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::request::HttpTarget;
use crate::probe::ask::MAX_ANSWER;
use crate::probe::tcp::connect;

/// What events say of a server that does not answer in time.
const LATE_HEAD: &str =
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// What events say of a server that begins to answer and does not end.
const LATE_BODY: &str =
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)";

/// One answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    /// The beginning of the body, or why it could not be read.
    pub(super) body: Result<String, String>,
}

/// There was no answer, for this reason.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

/// Sends a request on a connection of its own.
///
/// A body that is late does not take its head along.
pub(super) async fn send(
    target: &HttpTarget,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Exchange, Broken> {
    let connected = in_time(deadline, connect(&target.host, target.port)).await?;
    let stream = connected.map_err(Broken)?;
    if target.is_tls {
        let tls_failed = |error: &dyn std::fmt::Display| Broken(format!("tls: {error}"));
        let name = ServerName::try_from(target.host.clone());
        let name = name.map_err(|error| tls_failed(&error))?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = in_time(deadline, connector.connect(name, stream)).await?;
        let stream = stream.map_err(|error| tls_failed(&error))?;
        send_over(target, stream, deadline).await
    } else {
        send_over(target, stream, deadline).await
    }
}

async fn send_over<S>(target: &HttpTarget, stream: S, deadline: Instant) -> Result<Exchange, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = request(target).map_err(|error| Broken(error.to_string()))?;
    let broken = |error: hyper::Error| Broken(root_cause(&error));
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    let mut exchange = pin!(async {
        let response = in_time(deadline, sender.send_request(request)).await?;
        let (head, body) = response.map_err(broken)?.into_parts();
        let location = head.headers.get(header::LOCATION);
        let body = timeout_at(deadline, read(body)).await;
        Ok(Exchange {
            status: head.status,
            location: location
                .and_then(|location| location.to_str().ok())
                .map(str::to_owned),
            body: body.unwrap_or_else(|_| Err(LATE_BODY.to_owned())),
        })
    });
    // The connection is this future's, and no task's. It may end before the answer is read.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = T>) -> Result<T, Broken> {
    let done = timeout_at(deadline, step).await;
    done.map_err(|_| Broken(LATE_HEAD.to_owned()))
}

fn request(target: &HttpTarget) -> http::Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(&target.path).body(Empty::new())?;
    *request.headers_mut() = target.headers.clone();
    if !target.headers.contains_key(header::HOST) {
        let host = HeaderValue::try_from(target.authority())?;
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(request)
}

/// The beginning of a body; what is longer is no fault.
async fn read(mut body: Incoming) -> Result<String, String> {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| root_cause(&error))?;
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
        if text.len() >= MAX_ANSWER {
            text.truncate(MAX_ANSWER);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn root_cause(error: &hyper::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes
        .last()
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
