//! One connection, from the first byte to the last.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};
use tracing::debug;

use super::access::Access;
use super::body::{AnswerBody, RequestBody};
use super::stall::{Leave, Stall};
use super::tasks::Tasks;
use super::tunnel::Tunnel;
use super::{BoxError, Limits};
use crate::ApiError;

/// In the extensions of a request: what tells that the listener stops.
#[derive(Clone, Debug)]
pub(super) struct Stop(pub(super) CancellationToken);

/// What all connections of a listener have in common.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) access: Arc<Access>,
    pub(super) limits: Limits,
    pub(super) stop: CancellationToken,
}

/// An error of the service.
///
/// Of a type of its own: that a boxed error converts into a boxed error is more than the compiler
/// can see through the connection that is made of it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unanswered(BoxError);

impl Terms {
    /// Serves a connection until its client ends it, breaks the limits, or the listener stops.
    pub(super) async fn serve<S, B>(self, socket: TcpStream, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let deadline = Instant::now() + self.limits.first_request;
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%error, "a connection ended before it was served");
            return;
        }
        let socket = Stall::new(socket, self.limits.write_stall);
        let leave = socket.leave();
        let Some(tls) = self.tls.clone() else {
            return self.converse(socket, service, deadline, &leave).await;
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            accepted = timeout_at(deadline, tls.accept(socket)) => match accepted {
                Ok(Ok(socket)) => self.converse(socket, service, deadline, &leave).await,
                Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                Err(_) => debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn converse<S, B>(
        self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        service: S,
        deadline: Instant,
        leave: &Leave,
    ) where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let begun = Arc::new(AtomicBool::new(false));
        let tunnel = Arc::new(Mutex::new(None));
        let respond = service_fn({
            let (terms, begun) = (self.clone(), Arc::clone(&begun));
            let tunnel = Arc::clone(&tunnel);
            move |request| {
                begun.store(true, Ordering::Relaxed);
                let answering = terms.clone().answer(request, service.clone());
                let tunnel = Arc::clone(&tunnel);
                async move {
                    let mut response = answering.await.map_err(Unanswered)?;
                    *tunnel.lock() = response.extensions_mut().remove::<Tunnel>();
                    Ok::<_, Unanswered>(response)
                }
            }
        });
        let protocol = self.protocol();
        let connection = protocol.serve_connection_with_upgrades(TokioIo::new(socket), respond);
        let mut connection = pin!(connection);
        let mut first_request = pin!(sleep_until(deadline));
        let (mut waiting, mut stopping) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => match ended {
                    Ok(()) => break,
                    Err(error) => return debug!(%error, "a connection ended early"),
                },
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = first_request.as_mut(), if waiting => {
                    waiting = false;
                    if !begun.load(Ordering::Relaxed) {
                        debug!("a connection without a request was closed");
                        return;
                    }
                }
            }
        }
        // The answer to its last request made the connection a tunnel: an HTTP/1.1 one, since
        // no other ends so.
        let tunnel = tunnel.lock().take();
        if let Some(tunnel) = tunnel {
            leave.give();
            self.stop.run_until_cancelled(tunnel.run()).await;
        }
    }

    fn protocol(&self) -> auto::Builder<Tasks> {
        let mut protocol = auto::Builder::new(Tasks::default());
        protocol
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.next_request);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .keep_alive_interval(self.limits.ping);
        protocol
    }

    async fn answer<S, B>(
        self,
        request: Request<Incoming>,
        service: S,
    ) -> Result<Response<AnswerBody>, BoxError>
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let access = self.access.check(&request);
        // A client that waits to be asked for its body has not sent it.
        let sends_at_once = !request.headers().contains_key(EXPECT);
        let (mut head, incoming) = request.into_parts();
        let (body, remainder) = RequestBody::new(incoming, self.limits.body_stall);
        let response = match access {
            Ok(user) => {
                if let Some(user) = user {
                    head.extensions.insert(user);
                }
                head.extensions.insert(Stop(self.stop.clone()));
                service
                    .oneshot(Request::from_parts(head, body))
                    .await
                    .map_err(Into::into)?
                    .map(|body| AnswerBody::new(body, &self.stop))
            }
            Err(error) => {
                drop(body);
                refusal(&error).map(|body| AnswerBody::new(body, &self.stop))
            }
        };
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if sends_at_once && !is_tunnel {
            remainder.drain().await;
        }
        Ok(response)
    }
}

fn refusal(error: &ApiError) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(error.to_status().to_string()));
    *response.status_mut() = error.code();
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
