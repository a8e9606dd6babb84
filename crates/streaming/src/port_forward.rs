//! Port-forwards: many connections of one client.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tracing::{debug, error};

use self::pairs::{Added, Kind, Pair, Pairs};
use crate::mux::{Mux, Outgoing, Stream};
use crate::request::PortForwardRequest;
use crate::server::Terms;
use crate::spdy::{Headers, Incoming};
use crate::{StreamingConfig, StreamingRuntime};

mod pairs;

/// The longest request ID that is remembered. Those of kubectl are numbers.
const MAX_REQUEST_ID: usize = 256;

/// Forwards a connection for each pair of streams that the client opens, until it is gone.
pub(crate) async fn over_spdy<R: StreamingRuntime>(
    terms: &Arc<Terms<R>>,
    request: &PortForwardRequest,
    mux: &Mux,
    mut incoming: mpsc::Receiver<Incoming>,
) {
    let config = &terms.config;
    let mut pairs = Pairs::new(config.stream_creation_timeout);
    let mut forwards = JoinSet::new();
    loop {
        let expiry = pairs
            .expiry()
            .unwrap_or_else(|| Instant::now() + config.idle_timeout);
        tokio::select! {
            stream = incoming.recv() => match stream {
                Some(stream) => {
                    if let Some(pair) = add(&mut pairs, mux, stream).await {
                        let (terms, mux) = (terms.clone(), mux.clone());
                        let sandbox_id = request.sandbox_id.clone();
                        forwards.spawn(async move {
                            forward(&terms.runtime, &sandbox_id, pair, Some(&mux)).await;
                        });
                    }
                }
                None => break,
            },
            Some(ended) = forwards.join_next() => report(ended),
            () = sleep_until(expiry) => {
                for (request_id, mut pair) in pairs.expire(Instant::now()) {
                    let text = format!("(request={request_id}) timed out waiting for streams");
                    debug!("{text}");
                    if let Some(error) = &mut pair.error {
                        tell(error, &text).await;
                    }
                }
            }
        }
    }
    linger(forwards, config).await;
}

/// Forwards one connection to each port, until all of them have ended or the client is gone.
pub(crate) async fn over_channels<R: StreamingRuntime>(
    terms: &Arc<Terms<R>>,
    request: &PortForwardRequest,
    mux: &Mux,
) {
    let mut forwards = JoinSet::new();
    for (port, channel) in request.ports.iter().zip((0..).step_by(2)) {
        let pair = Pair {
            port: *port,
            data: mux.open(channel),
            error: mux.open(channel + 1),
        };
        // Both channels begin with the port.
        for channel in [channel, channel + 1] {
            let port = Bytes::copy_from_slice(&port.to_le_bytes());
            mux.state().answer(Outgoing::Message(channel, port));
        }
        let terms = terms.clone();
        let sandbox_id = request.sandbox_id.clone();
        forwards.spawn(async move { forward(&terms.runtime, &sandbox_id, pair, None).await });
    }
    loop {
        tokio::select! {
            ended = forwards.join_next() => match ended {
                Some(ended) => report(ended),
                None => break,
            },
            () = mux.closed().cancelled() => return linger(forwards, &terms.config).await,
        }
    }
    mux.state().finish();
    let _ = timeout(terms.config.finish_timeout, mux.closed().cancelled()).await;
}

/// What the client sent before it was gone may still be on its way to the process.
async fn linger(mut forwards: JoinSet<()>, config: &StreamingConfig) {
    let all = async { while forwards.join_next().await.map(report).is_some() {} };
    let _ = timeout(config.linger_timeout, all).await;
    forwards.shutdown().await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(fault) = ended {
        error!(%fault, "a forwarded connection failed");
    }
}

/// Puts a stream to its other half; what is not of the protocol is refused.
async fn add(pairs: &mut Pairs, mux: &Mux, stream: Incoming) -> Option<Pair> {
    let headers = &stream.headers;
    let port = headers.get("port").and_then(|port| port.parse().ok());
    let port = port.filter(|port| *port > 0);
    let kind = match headers.get("streamType") {
        Some("data") => Some(Kind::Data),
        Some("error") => Some(Kind::Error),
        _ => None,
    };
    let (Some(port), Some(kind)) = (port, kind) else {
        debug!("refused a stream without a port or a type");
        return None;
    };
    let id = stream.id;
    let Some(request_id) = request_id(headers, id, kind) else {
        debug!("refused a stream with a long request ID");
        return None;
    };
    let accepted = stream.accept()?;
    match pairs.add(Instant::now(), &request_id, port, kind, accepted) {
        Added::Waiting => None,
        Added::Complete(pair) => Some(pair),
        Added::Duplicate(error) => {
            debug!(request_id, ?kind, "a stream of a request came twice");
            mux.cancel(id);
            if let Some(error) = error {
                let kind = kind.name();
                let text = format!(
                    "error processing stream for request {request_id}: {kind} stream already assigned"
                );
                tell(error, &text).await;
            }
            None
        }
    }
}

async fn forward<R: StreamingRuntime>(
    runtime: &R,
    sandbox_id: &str,
    pair: Pair,
    mux: Option<&Mux>,
) {
    let Pair {
        port,
        data,
        mut error,
    } = pair;
    let id = data.reader.id();
    if let Err(fault) = runtime.port_forward(sandbox_id, port, Box::new(data)).await {
        let text = format!("error forwarding port {port} to pod {sandbox_id}, uid : {fault}");
        debug!("{text}");
        // A half that was sent is not a whole: the client must not take it for one.
        if let Some(mux) = mux {
            mux.cancel(id);
        }
        let _ = error.write_all(text.as_bytes()).await;
    }
    let _ = error.shutdown().await;
}

/// Says what is wrong with a connection, without waiting: the other connections are not to wait for
/// a client that does not read. What does not fit was not read for long.
async fn tell(error: &mut Stream, text: &str) {
    let _ = timeout(Duration::ZERO, error.write_all(text.as_bytes())).await;
}

/// What the streams of a connection have in common; none if it is longer than anybody needs.
fn request_id(headers: &Headers, id: u32, kind: Kind) -> Option<String> {
    match headers.get("requestID") {
        Some(request_id) if !request_id.is_empty() => {
            (request_id.len() <= MAX_REQUEST_ID).then(|| request_id.to_owned())
        }
        // Clients of old open the streams of a connection one after the other, errors first.
        _ => Some(match kind {
            Kind::Error => id.to_string(),
            Kind::Data => id.wrapping_sub(2).to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream: `TestRequestID`.
    #[test]
    fn request_id_of_old_and_new_clients() {
        let named = Headers::default().with("requestID", "7");
        assert_eq!(request_id(&named, 5, Kind::Data).as_deref(), Some("7"));
        let unnamed = Headers::default();
        assert_eq!(request_id(&unnamed, 1, Kind::Error).as_deref(), Some("1"));
        assert_eq!(request_id(&unnamed, 3, Kind::Data).as_deref(), Some("1"));
        let long = Headers::default().with("requestID", "7".repeat(MAX_REQUEST_ID + 1));
        assert_eq!(request_id(&long, 1, Kind::Error), None);
    }
}
