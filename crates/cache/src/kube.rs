mod answer;
mod lines;
mod query;
mod watch;

use std::fmt;
use std::marker::PhantomData;

use futures::StreamExt;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use kube_client::client::{Body, Client};
use kube_core::{NamespaceScope, Resource};

pub use watch::KubeWatch;

use crate::scan::PageScanner;
use crate::source::{ListOptions, ListerWatcher, Page, PageSink, SourceError, WatchOptions};
use query::Selection;

/// Lists and watches one kind of object on an API server.
///
/// # What it does otherwise than `kube_client::Api`
///
/// It reads the server's bytes itself. A list is split into its items while it arrives, so neither
/// the list's text nor its objects are ever there as a whole. An item or a watch line that makes no
/// sense is passed on as [`Undecodable`](crate::Undecodable) with its own error, and the list or
/// watch goes on.
///
/// # Retries
///
/// Failures are the reflector's to answer. A client made by `Client::try_from(Config)` retries 429,
/// 503 and 504 by itself, up to 15 times and for many minutes, unless `Config::default_retry` is
/// false: set that, or server trouble reaches neither logs nor backoff. A request that such a client
/// holds back is given up after
/// [`ReflectorConfig::response_timeout`](crate::ReflectorConfig::response_timeout).
///
/// # Example
///
/// ```no_run
/// use k8s_openapi::api::core::v1::Pod;
/// use kubewright_cache::KubeListerWatcher;
///
/// # fn example(client: kube_client::Client) {
/// let source = KubeListerWatcher::<Pod>::namespaced(client, "default")
///     .labels("app=web")
///     .fields("spec.nodeName=node-1");
/// # }
/// ```
pub struct KubeListerWatcher<K> {
    client: Client,
    selection: Selection,
    /// The longest item of a list or line of a watch, in bytes.
    max_object: usize,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> KubeListerWatcher<K> {
    /// All objects of the kind, in all namespaces.
    pub fn all(client: Client) -> Self {
        Self::all_with(client, &())
    }

    /// The objects of the kind in one namespace.
    pub fn namespaced(client: Client, namespace: &str) -> Self
    where
        K::Scope: NamespaceScope,
    {
        Self::namespaced_with(client, namespace, &())
    }
}

impl<K: Resource> KubeListerWatcher<K> {
    /// All objects of a kind that is only known at run time, in all namespaces.
    pub fn all_with(client: Client, kind: &K::DynamicType) -> Self {
        Self::new(client, K::url_path(kind, None))
    }

    /// The objects of a kind that is only known at run time, in one namespace.
    pub fn namespaced_with(client: Client, namespace: &str, kind: &K::DynamicType) -> Self
    where
        K::Scope: NamespaceScope,
    {
        Self::new(client, K::url_path(kind, Some(namespace)))
    }

    fn new(client: Client, path: String) -> Self {
        let selection = Selection::new(path, K::metadata_api());
        Self {
            client,
            selection,
            max_object: 16 << 20,
            kind: PhantomData,
        }
    }

    /// Only the objects that this label selector picks, such as `app=web,tier in (a,b)`.
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.selection.labels = Some(selector.into());
        self
    }

    /// Only the objects that this field selector picks, such as `spec.nodeName=node-1`.
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.selection.fields = Some(selector.into());
        self
    }

    /// Asks the server for the objects' metadata alone, as for a `K` of `PartialObjectMeta` it
    /// does anyway.
    ///
    /// What arrives then has the kind `PartialObjectMetadata`, so typed objects decode only if
    /// their type takes that.
    pub const fn metadata_only(mut self) -> Self {
        self.selection.metadata_only = true;
        self
    }

    /// The longest object that is read, in bytes; 16 MiB by default, ten times what etcd takes.
    ///
    /// A longer line of a watch is passed over as undecodable; a longer item fails its list.
    pub const fn max_object(mut self, bytes: usize) -> Self {
        self.max_object = bytes;
        self
    }

    /// Sends a request; the response if it is a success.
    async fn send(
        &self,
        request: Result<Request<Body>, http::Error>,
    ) -> Result<Response<Body>, SourceError> {
        let request = request.map_err(|error| SourceError::Invalid {
            message: format!("the path or a selector makes no URL: {error}"),
        })?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|error| SourceError::Unreachable(error.into()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(answer::refusal(response).await)
    }
}

impl<K: Resource + 'static> ListerWatcher for KubeListerWatcher<K> {
    type Watch = KubeWatch;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let response = self.send(self.selection.list(options)).await?;
        let malformed = |source| SourceError::Malformed {
            context: "list".into(),
            source: Some(source),
        };
        let mut body = response.into_body().into_data_stream();
        let mut scanner = PageScanner::new(self.max_object);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| SourceError::Transport(error.into()))?;
            scanner.feed(&chunk, items).map_err(malformed)?;
        }
        scanner.finish(items).map_err(malformed)
    }

    async fn watch(&self, options: &WatchOptions) -> Result<KubeWatch, SourceError> {
        let mut request = self.selection.watch(options);
        if let Ok(request) = &mut request {
            // A compressed stream may hold back events until a block is full.
            let identity = HeaderValue::from_static("identity");
            request
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, identity);
        }
        let response = self.send(request).await?;
        Ok(KubeWatch::new(response.into_body(), self.max_object))
    }
}

impl<K> Clone for KubeListerWatcher<K> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            selection: self.selection.clone(),
            max_object: self.max_object,
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for KubeListerWatcher<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeListerWatcher")
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}
