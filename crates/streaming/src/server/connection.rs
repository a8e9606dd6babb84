use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::Terms;
use crate::mux::Mux;
use crate::protocol::Protocol;
use crate::remote_command::Streams;
use crate::request::{Request, StreamOptions};
use crate::upgrade::{Answer, negotiate, refusal};
use crate::websocket::Tunnel;
use crate::{StreamingRuntime, port_forward, remote_command, spdy, websocket};

/// More streams than a command has are refused.
const MAX_COMMAND_STREAMS: usize = 8;

/// What a connection is to become once it has stopped being HTTP.
struct Agreed {
    request: Request,
    protocol: Protocol,
    upgrade: OnUpgrade,
}

pub(super) async fn serve<R: StreamingRuntime>(terms: Arc<Terms<R>>, socket: TcpStream) {
    // Small frames matter to people who type.
    let _ = socket.set_nodelay(true);
    let agreed = Mutex::new(None);
    let service = service_fn(|request| {
        let answer = answer(&terms, request, &agreed);
        async { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.config.stream_creation_timeout)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        debug!(%error, "a streaming connection ended as HTTP");
    }
    let Some(Agreed {
        request,
        protocol,
        upgrade,
    }) = agreed.into_inner()
    else {
        return;
    };
    match upgrade.await {
        Ok(upgraded) => Box::pin(stream(&terms, request, protocol, TokioIo::new(upgraded))).await,
        Err(error) => debug!(%error, "a streaming connection was not upgraded"),
    }
}

fn answer<R>(
    terms: &Terms<R>,
    mut request: http::Request<Incoming>,
    agreed: &Mutex<Option<Agreed>>,
) -> Answer {
    let not_found = || *refusal(StatusCode::NOT_FOUND, "404 page not found");
    let path = request.uri().path();
    let Some((method @ ("exec" | "attach" | "portforward"), token)) =
        path.strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return not_found();
    };
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return *refusal(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed");
    }
    let Some(what) = terms.handle.consume(method, token) else {
        return not_found();
    };
    match negotiate(request.headers(), &what) {
        Ok((protocol, answer)) => {
            *agreed.lock() = Some(Agreed {
                request: what,
                protocol,
                upgrade: hyper::upgrade::on(&mut request),
            });
            answer
        }
        Err(refusal) => *refusal,
    }
}

async fn stream<R: StreamingRuntime>(
    terms: &Arc<Terms<R>>,
    request: Request,
    protocol: Protocol,
    io: TokioIo<Upgraded>,
) {
    let size = terms.config.max_message_size;
    match protocol {
        Protocol::Spdy(_) => over_spdy(terms, request, protocol, io).await,
        Protocol::Tunnel => {
            let socket = websocket::socket(io, websocket::Role::Server, size).await;
            over_spdy(terms, request, protocol, Tunnel::new(socket)).await;
        }
        Protocol::Channels(channels) => {
            let socket = websocket::socket(io, websocket::Role::Server, size).await;
            let mux = Mux::new();
            let idle = terms.config.idle_timeout;
            let work = async {
                match (&request, options(&request)) {
                    (Request::PortForward(forward), _) => {
                        port_forward::over_channels(terms, forward, &mux).await;
                    }
                    (_, options) => {
                        let streams = Streams::over_channels(&mux, options, channels);
                        let (runtime, config) = (&terms.runtime, &terms.config);
                        remote_command::serve(runtime, request.clone(), streams, &mux, config)
                            .await;
                    }
                }
            };
            let drive = websocket::drive(socket, &mux, channels, websocket::Role::Server, idle);
            both(drive, work).await;
        }
    }
}

async fn over_spdy<R: StreamingRuntime>(
    terms: &Arc<Terms<R>>,
    request: Request,
    protocol: Protocol,
    io: impl AsyncRead + AsyncWrite + Send,
) {
    let config = &terms.config;
    let max_streams = match request {
        Request::PortForward(_) => config.max_streams,
        Request::Exec(_) | Request::Attach(_) => MAX_COMMAND_STREAMS,
    };
    let mux = Mux::new();
    let (sender, mut incoming) = mpsc::channel(max_streams.max(1));
    let role = spdy::Role::Server;
    let drive = spdy::drive(io, &mux, role, max_streams, sender, config.idle_timeout);
    let work = async {
        let version = match (&request, protocol) {
            (Request::PortForward(forward), _) => {
                return port_forward::over_spdy(terms, forward, &mux, incoming).await;
            }
            (_, Protocol::Spdy(version)) => version,
            // Only port-forwards are tunnelled.
            (_, Protocol::Tunnel | Protocol::Channels(_)) => return,
        };
        let streams = Streams::over_spdy(&mut incoming, options(&request), version);
        let Ok(streams) = timeout(config.stream_creation_timeout, streams).await else {
            return debug!("timed out waiting for client to create streams");
        };
        if let Some(streams) = streams {
            // What is opened from now on is refused.
            incoming.close();
            remote_command::serve(&terms.runtime, request, streams, &mux, config).await;
        }
    };
    both(drive, work).await;
}

/// Drives a connection and what is done over it: the connection may end before the work does, and
/// ends with it.
async fn both<E: std::error::Error + 'static>(
    drive: impl Future<Output = Result<(), E>>,
    work: impl Future<Output = ()>,
) {
    let (mut drive, mut work) = (Box::pin(drive), Box::pin(work));
    tokio::select! {
        () = &mut work => return,
        ended = &mut drive => {
            if let Err(error) = ended {
                let error: &dyn std::error::Error = &error;
                debug!(error, "a streaming connection was lost");
            }
        }
    }
    drop(drive);
    work.await;
}

fn options(request: &Request) -> StreamOptions {
    match request {
        Request::Exec(exec) => exec.streams,
        Request::Attach(attach) => attach.streams,
        Request::PortForward(_) => StreamOptions::default(),
    }
}
