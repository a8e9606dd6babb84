//! The server: a handle to its state, and the service that clients send requests to.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

#[cfg(feature = "listener")]
use crate::access::User;
use crate::config::{Config, ConfigError};
use crate::controllers::{Controllers, ControllersConfig};
use crate::core::Core;
use crate::error::{ApiError, ServiceError};
use crate::faults::{Faults, Recording};
use crate::handler::refusal;
use crate::request::WriteOptions;
use crate::response::ResponseBody;
#[cfg(feature = "listener")]
use crate::tokens::ISSUER;

/// The namespaces that every cluster has.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// An embedded Kubernetes API server.
///
/// A handle: clones share one state, which goes with the last of them and of their services.
#[derive(Clone, Debug)]
pub struct ApiServer {
    core: Arc<Core>,
}

/// A tower service that answers Kubernetes API requests; what `kube_client::Client::new` takes.
///
/// Cheap to clone; all clones are of one server.
#[derive(Clone, Debug)]
pub struct ApiService {
    core: Arc<Core>,
}

/// The answer to one request, in the making.
pub struct ResponseFuture(
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, ServiceError>> + Send>>,
);

impl ApiServer {
    /// A server with the namespaces that every cluster has, and nothing else.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let core = Core::new(config)?;
        core.create_system_namespaces();
        Ok(Self {
            core: Arc::new(core),
        })
    }

    /// The service that answers requests.
    pub fn service(&self) -> ApiService {
        ApiService {
            core: Arc::clone(&self.core),
        }
    }

    /// What a cluster does beside its API, such as collecting garbage; it acts only while it is driven.
    pub fn controllers(&self, config: ControllersConfig) -> Controllers {
        Controllers::new(Arc::clone(&self.core), config)
    }

    /// Whose token of a service account this is, if it is one that holds and is for this server.
    #[cfg(feature = "listener")]
    pub(crate) fn authenticate(&self, token: &str) -> Option<User> {
        let audiences = [ISSUER.to_owned()];
        let (user, _) = self.core.authenticate(token, &audiences).ok()?;
        Some(user)
    }

    /// The faults that requests meet; none at first.
    pub fn faults(&self) -> Faults {
        self.core.faults.clone()
    }

    /// Records the calls of clients from now on, until the recording is dropped.
    pub fn record(&self) -> Recording {
        self.core.faults.record()
    }

    /// The resource version of the newest change.
    pub fn resource_version(&self) -> u64 {
        self.core.store.revision()
    }

    /// Forgets all history up to `resource_version`, as a compaction of etcd does.
    ///
    /// Watches that begin before it, and lists that go on from before it, are answered 410.
    pub fn compact(&self, resource_version: u64) {
        self.core.store.compact(resource_version);
    }

    /// Sends a bookmark to every open watch that allows them.
    pub fn send_bookmarks(&self) {
        self.core.signals.bookmark();
    }

    /// Ends every open watch, as a restart of the server does.
    pub fn drop_watches(&self) {
        self.core.signals.cut();
    }
}

impl Core {
    fn create_system_namespaces(&self) {
        let resources = self.registry.resources();
        let namespaces = resources
            .get("", "v1", "namespaces")
            .expect("namespaces are built in");
        for name in SYSTEM_NAMESPACES {
            let namespace = json!({
                "kind": "Namespace",
                "apiVersion": "v1",
                "metadata": { "name": name },
            });
            self.create(namespaces, "", namespace, WriteOptions::default())
                .expect("an empty server takes a namespace");
        }
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = ServiceError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let core = Arc::clone(&self.core);
        ResponseFuture(Box::pin(async move {
            let (parts, body) = request.into_parts();
            let bytes = match collect(body, core.config.body_limit).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    let accept = parts
                        .headers
                        .get(ACCEPT)
                        .and_then(|value| value.to_str().ok());
                    return Ok(refusal(accept, &error));
                }
            };
            core.exchange(Request::from_parts(parts, bytes)).await
        }))
    }
}

/// Reads a body of at most `limit` bytes.
async fn collect<B>(body: B, limit: usize) -> Result<Bytes, ApiError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::request_entity_too_large(limit))
        }
        Err(error) => Err(ApiError::bad_request(format!(
            "the body of the request could not be read: {error}"
        ))),
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, ServiceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::Service as _;

    use super::*;

    #[tokio::test]
    async fn a_watcher_that_leaves_is_forgotten() {
        let server = ApiServer::new(Config::default()).unwrap();
        let watch = async || {
            let path = "/api/v1/configmaps?watch=true&resourceVersion=1";
            let request = Request::get(path).body(Full::<Bytes>::default()).unwrap();
            server.service().call(request).await.unwrap()
        };
        // Everyone who reads changes holds the store.
        let readers = || Arc::strong_count(&server.core.store);
        let nobody = readers();
        let stays = watch().await;
        let mut leave = Vec::new();
        for _ in 0..100 {
            leave.push(watch().await);
        }
        assert_eq!(readers(), nobody + 101);
        drop(leave);
        assert_eq!(readers(), nobody + 1);
        drop(stays);
        assert_eq!(readers(), nobody);
    }
}
