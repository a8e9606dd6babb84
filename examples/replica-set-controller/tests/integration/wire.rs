//! What goes between a client and the server: looked at, and cut where a test wants it cut.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use kube_client::Client;
use kube_client::client::Body;
use kubewright_apiserver::{ApiServer, ApiService, ResponseBody};
use tokio::sync::Notify;
use tower::Service;

/// A request, as role-based access control sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Asked {
    pub(crate) verb: &'static str,
    /// The group and the resource, with its subresource: `apps/replicasets/status`, `pods`.
    pub(crate) resource: String,
    /// `namespace/name`, as far as the request has them.
    pub(crate) object: String,
}

impl Asked {
    fn of(method: &Method, uri: &http::Uri) -> Self {
        let segments: Vec<_> = uri.path().split('/').filter(|it| !it.is_empty()).collect();
        let (group, rest) = match &segments[..] {
            ["api", _, rest @ ..] => (None, rest),
            ["apis", group, _, rest @ ..] => (Some(*group), rest),
            _ => (None, &segments[..]),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let query = uri.query().unwrap_or_default();
        let is_watch = query
            .split('&')
            .any(|pair| pair == "watch=true" || pair == "watch=1");
        let (name, subresource) = (rest.get(1).copied(), rest.get(2).copied());
        let verb = match (method.as_str(), name) {
            ("GET", None) if is_watch => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => "other",
        };
        let parts = [group, rest.first().copied(), subresource];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        Self {
            verb,
            resource: parts.join("/"),
            object: format!("{namespace}/{}", name.unwrap_or_default()),
        }
    }

    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }

    /// Whether it is a write that the sets depend on, as they do not on events.
    pub(crate) fn matters(&self) -> bool {
        self.is_write() && self.resource != "events"
    }
}

const REFUSAL: &str = r#"{
    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
    "message": "pods \"x\" is forbidden: exceeded quota: condition-test",
    "reason": "Forbidden", "code": 403
}"#;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// It is refused, as by a quota.
    Refused,
    /// It never reaches the server.
    LostBefore,
    /// The server does what it is asked, and its answer is lost.
    LostAfter,
    /// The client is no more before the request is sent.
    CrashBefore,
    /// The client is no more before the answer comes.
    CrashAfter,
}

type Decide = dyn FnMut(&Asked) -> Fate + Send;

/// All requests of one client.
#[derive(Clone)]
pub(crate) struct Wire {
    asked: Arc<Mutex<Vec<Asked>>>,
    decide: Arc<Mutex<Box<Decide>>>,
    crashed: Arc<Notify>,
}

impl Wire {
    /// A wire that loses nothing.
    pub(crate) fn new() -> Self {
        Self {
            asked: Arc::default(),
            decide: Arc::new(Mutex::new(Box::new(|_| Fate::Answered))),
            crashed: Arc::default(),
        }
    }

    /// Waits for a request whose fate it is that the client is no more.
    pub(crate) async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// Decides about each request from now on.
    pub(crate) fn decide(&self, decide: impl FnMut(&Asked) -> Fate + Send + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked to be done to pods, in order, as in `delete default/web`; a create names a
    /// namespace only.
    pub(crate) fn pod_writes(&self) -> Vec<String> {
        let asked = self.asked().into_iter();
        asked
            .filter(|asked| asked.is_write() && asked.resource == "pods")
            .map(|asked| format!("{} {}", asked.verb, asked.object))
            .collect()
    }

    /// A client whose requests go over this wire.
    pub(crate) fn client(&self, server: &ApiServer) -> Client {
        let tapped = Tapped {
            wire: self.clone(),
            service: server.service(),
        };
        Client::new(tapped, "default")
    }
}

#[derive(Clone)]
struct Tapped {
    wire: Wire,
    service: ApiService,
}

impl Service<Request<Body>> for Tapped {
    type Response = Response<Either<ResponseBody, Full<Bytes>>>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = Asked::of(request.method(), request.uri());
        let fate = (self.wire.decide.lock().unwrap())(&asked);
        self.wire.asked.lock().unwrap().push(asked);
        let mut service = self.service.clone();
        let crashed = Arc::clone(&self.wire.crashed);
        Box::pin(async move {
            match fate {
                Fate::Refused => {
                    let body = Full::from(REFUSAL.as_bytes());
                    let response = Response::builder().status(403);
                    return Ok(response.body(Either::Right(body))?);
                }
                Fate::LostBefore => return Err("the request is lost".into()),
                Fate::CrashBefore => {
                    crashed.notify_one();
                    std::future::pending::<()>().await;
                }
                Fate::Answered | Fate::LostAfter | Fate::CrashAfter => {}
            }
            let response = service.call(request).await?;
            match fate {
                Fate::LostAfter => Err("the response is lost".into()),
                Fate::CrashAfter => {
                    crashed.notify_one();
                    std::future::pending().await
                }
                _ => Ok(response.map(Either::Left)),
            }
        })
    }
}
