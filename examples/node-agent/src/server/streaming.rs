use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::causes::with_causes;
use crate::server::RuntimeUrl;
use crate::server::answer::{self, Answer};
use crate::server::query::is_upgrade;
use crate::server::tasks::Tasks;
use crate::server::tunnel::Tunnel;

/// How long the runtime may take to answer, which it does before anything is streamed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings clients and the streams of the runtime together.
#[derive(Clone, Debug)]
pub(super) struct Streaming {
    /// The connections to the runtime, until they are streams.
    tasks: Tasks,
    idle_timeout: Duration,
}

impl Streaming {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self {
            tasks: Tasks::default(),
            idle_timeout,
        }
    }

    /// Ends all connections to the runtime that are no streams. Streams end with the connections of
    /// their clients.
    pub(super) async fn shutdown(&self) {
        self.tasks.shutdown().await;
    }

    /// Passes a request on to where the runtime has streams. If it gives its connection over to
    /// them, so does the answer, which brings the [`Tunnel`] along; whatever else it answers is the
    /// answer.
    pub(super) async fn proxy(&self, mut request: Request<Incoming>, url: &str) -> Answer {
        if !is_upgrade(request.headers()) {
            return answer::text(StatusCode::BAD_REQUEST, "Upgrade request required");
        }
        let url: RuntimeUrl = match url.parse() {
            Ok(url) => url,
            Err(error) => {
                tracing::error!(%error, "streams are refused");
                return answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
            }
        };
        let asked = timeout(PATIENCE, self.ask(&request, &url)).await;
        let mut response = match asked {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::warn!(error = with_causes(&*error), "the runtime does not stream");
                let text = format!("error dialing backend: {}", with_causes(&*error));
                return answer::text(StatusCode::BAD_GATEWAY, text);
            }
            Err(_) => {
                let text = "error dialing backend: the runtime did not answer in time";
                return answer::text(StatusCode::GATEWAY_TIMEOUT, text);
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let tunnel = Tunnel {
                client: hyper::upgrade::on(&mut request),
                runtime: hyper::upgrade::on(&mut response),
                idle_timeout: self.idle_timeout,
            };
            let mut answer = response.map(|_| answer::body(Bytes::new()));
            answer.extensions_mut().insert(tunnel);
            return answer;
        }
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }

    /// Sends a request on, and has its connection driven.
    async fn ask(
        &self,
        request: &Request<Incoming>,
        url: &RuntimeUrl,
    ) -> Result<http::Response<Incoming>, answer::BoxError> {
        let socket = url.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to the runtime ended early");
            }
        });
        let mut onward = Request::new(Empty::<Bytes>::new());
        *onward.method_mut() = request.method().clone();
        *onward.uri_mut() = url.target.parse()?;
        *onward.headers_mut() = request.headers().clone();
        // What tells the agent who the client is, is not the runtime's to know.
        for header in [AUTHORIZATION, COOKIE] {
            onward.headers_mut().remove(header);
        }
        // It has no body, whatever the client said of its own.
        for header in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            onward.headers_mut().remove(header);
        }
        let host = HeaderValue::from_str(&url.host)?;
        onward.headers_mut().insert(HOST, host);
        Ok(sender.send_request(onward).await?)
    }
}
