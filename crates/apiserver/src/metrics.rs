//! What the server tells of itself at `/metrics`.

use std::fmt;

use http::request::Parts;
use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::request::{Query, Route, Target};

/// The media type of a server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

/// The form of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts what clients ask for, as kube-apiserver does.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
}

/// The labels of `apiserver_request_total`.
///
/// A watch counts when it begins; kube-apiserver counts it when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register(
            "apiserver_request",
            "Requests for resources by verb, dry run, group, version, resource, scope, component and code",
            requests.clone(),
        );
        Self { registry, requests }
    }

    /// Counts a request that was answered.
    pub(crate) fn count(&self, labels: Labels, code: StatusCode) {
        let labels = Labels {
            code: code.as_u16(),
            ..labels
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// All of it, as text in the usual text form.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}

impl Labels {
    /// The labels of a request before its answer; `None` for what is about no resource.
    pub(crate) fn of(request: &Parts, route: &Route) -> Option<Self> {
        let Route::Resource(target) = route else {
            return None;
        };
        let query = Query::parse(request.uri.query());
        let content_type = request.headers.get(http::header::CONTENT_TYPE);
        let applies =
            content_type.is_some_and(|form| form.as_bytes().starts_with(APPLY.as_bytes()));
        let watches = target.watch || query.flag("watch").unwrap_or_default();
        Some(Self {
            verb: match request.method {
                Method::GET if watches => "WATCH",
                Method::GET if target.name.is_none() => "LIST",
                Method::GET => "GET",
                Method::POST => "POST",
                Method::PUT => "PUT",
                Method::PATCH if applies => "APPLY",
                Method::PATCH => "PATCH",
                Method::DELETE if target.name.is_none() => "DELETECOLLECTION",
                Method::DELETE => "DELETE",
                _ => "OTHER",
            },
            dry_run: if query.all("dryRun").next().is_some() {
                "All"
            } else {
                ""
            },
            group: target.resource.group.clone(),
            version: target.resource.version.clone(),
            resource: target.resource.plural.clone(),
            subresource: target.subresource.clone().unwrap_or_default(),
            scope: scope(target),
            component: "apiserver",
            code: 0,
        })
    }
}

fn scope(target: &Target) -> &'static str {
    match (&target.name, &target.namespace) {
        (Some(_), _) => "resource",
        (None, Some(_)) => "namespace",
        (None, None) => "cluster",
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
