//! What nodes answer: logs of pods, streams into their containers, the pages of kubelets.

mod answer;
mod config;
mod kubelet;
mod refusal;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::ACCEPT;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use tower::Service;

pub use self::config::{NodeProxyConfig, NodeTransport};
use self::kubelet::Kubelets;
use super::ServeError;
use super::connection::Stop;
use crate::ResponseBody;
use crate::handler;
use crate::proxy::{Forward, Forwards};

/// A service that lets the kubelets of nodes answer what only they can.
///
/// Around the service of an [`ApiServer`](crate::ApiServer), or one that answers as it does, this
/// is what makes `kubectl logs`, `exec`, `attach` and `port-forward` work. Requests are carried to
/// the address and port that the `status` of the pod's node reports of its kubelet:
///
/// | request | goes to |
/// |---|---|
/// | `pods/log` | `/containerLogs/{namespace}/{pod}/{container}`; who asks by an upgrade gets it in the messages of a websocket |
/// | `pods/exec` | `/exec/{namespace}/{pod}/{container}`, by an upgrade |
/// | `pods/attach` | `/attach/{namespace}/{pod}/{container}`, by an upgrade |
/// | `pods/portforward` | `/portForward/{namespace}/{pod}`, by an upgrade |
/// | `nodes/{node}/proxy/{path}` | `/{path}`, with method, headers and body |
///
/// # Guarantees
///
/// - Only kubelets on loopback addresses are contacted; other nodes are refused with a 501 that
///   says so.
/// - The credentials of clients stay here: a kubelet sees the token of the configuration.
/// - Who may ask what is decided by the server, before a kubelet hears of it.
/// - What is answered is passed on as it comes; a client that does not read makes the kubelet wait.
///   A client that goes away ends the kubelet's work for it.
/// - No task is started: an answer and a tunnel live and end with the connection of their client.
///
/// Upgrades, to SPDY as well as to websockets, need a client that came through a
/// [`Listener`](super::Listener) over HTTP/1.1. An upgrade that the kubelet does not make is
/// answered with what the kubelet says instead, so that clients can try another way.
///
/// # Example
///
/// ```
/// use kubewright_apiserver::serve::{NodeProxy, NodeProxyConfig, NodeTransport, Token};
/// use kubewright_apiserver::{ApiServer, Config};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = ApiServer::new(Config::default())?;
/// let mut config = NodeProxyConfig::new(NodeTransport::Http);
/// config.token = Some("shared-secret".parse::<Token>()?);
/// let service = NodeProxy::new(server.service(), config)?;
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NodeProxy<S> {
    inner: S,
    kubelets: Arc<Kubelets>,
}

impl<S> NodeProxy<S> {
    /// Puts the proxy before `inner`, which is a service of an `ApiServer` or wraps one.
    ///
    /// # Errors
    ///
    /// [`ServeError::NodeAuthority`] for a certificate authority that is none.
    pub fn new(inner: S, config: NodeProxyConfig) -> Result<Self, ServeError> {
        Ok(Self {
            inner,
            kubelets: Arc::new(Kubelets::new(config)?),
        })
    }
}

impl<S, B> Service<Request<B>> for NodeProxy<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<ResponseBody>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let client = request.extensions_mut().remove::<OnUpgrade>();
        let stop = request.extensions().get::<Stop>().cloned();
        request.extensions_mut().insert(Forwards);
        let answer = self.inner.call(request);
        let kubelets = Arc::clone(&self.kubelets);
        async move {
            let mut answer = answer.await?;
            let Some(forward) = answer.extensions_mut().remove::<Forward>() else {
                return Ok(answer);
            };
            let accept = forward.headers.get(ACCEPT).cloned();
            Ok(kubelets
                .answer(forward, client, stop)
                .await
                .unwrap_or_else(|error| {
                    handler::refusal(
                        accept.as_ref().and_then(|accept| accept.to_str().ok()),
                        &error,
                    )
                }))
        }
        .boxed()
    }
}
