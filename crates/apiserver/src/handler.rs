//! From an HTTP request to the operation it asks for, and back to an answer.

mod answer;
mod authorize;
mod encode;
mod eviction;
#[cfg(feature = "listener")]
mod forward;
mod pod;
mod read;
mod scale;
mod subresource;
mod token;
mod view;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};

use self::answer::Answer;
use crate::access::User;
use crate::core::Core;
use crate::error::ApiError;
use crate::metrics::{self, Labels};
use crate::pages;
use crate::registry::Resources;
use crate::representation::Representation;
use crate::request::{Query, Route, Target};
use crate::response::ResponseBody;

/// One request, being answered.
struct Exchange<'a> {
    core: &'a Core,
    user: User,
    resources: Arc<Resources>,
    target: Target,
    query: Query<'a>,
    request: &'a Parts,
    body: Bytes,
}

impl Core {
    /// Answers a request whose body has been read.
    pub(crate) fn respond(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let resources = self.registry.resources();
        let route = Route::parse(parts.uri.path(), &resources);
        let deprecation = route.deprecation();
        let labels = Labels::of(&parts, &route);
        let answer = match self.authorize(&parts, &route) {
            Err(error) => Err(error),
            Ok(user) => match route {
                Route::Unknown => Err(ApiError::unknown_path()),
                Route::Other if parts.uri.path() == "/metrics" => self.metrics_page(&parts.method),
                Route::Other => page(&parts, &resources),
                Route::Resource(target) => Exchange {
                    core: self,
                    user,
                    resources,
                    target,
                    query: Query::parse(parts.uri.query()),
                    request: &parts,
                    body,
                }
                .answer(&parts.method),
            },
        };
        let accept = header(&parts.headers, &ACCEPT);
        let response = answer
            .unwrap_or_else(|error| Answer::refusal(accept, &error))
            .with_warnings(deprecation)
            .into_response();
        if let Some(labels) = labels {
            self.metrics.count(labels, response.status());
        }
        response
    }

    fn metrics_page(&self, method: &Method) -> Result<Answer, ApiError> {
        if method != Method::GET {
            return Err(ApiError::method_not_allowed());
        }
        let text = Bytes::from(self.metrics.encode());
        Ok(Answer::new(StatusCode::OK, metrics::CONTENT_TYPE, text))
    }
}

/// The answer that tells an error, to a client that takes what `accept` says.
pub(crate) fn refusal(accept: Option<&str>, error: &ApiError) -> Response<ResponseBody> {
    Answer::refusal(accept, error).into_response()
}

/// The answer to a request that is about no resource.
fn page(request: &Parts, resources: &Resources) -> Result<Answer, ApiError> {
    let accept = header(&request.headers, &ACCEPT);
    let page = pages::page(request.uri.path(), accept, resources)?;
    if request.method != Method::GET && page.code != StatusCode::NOT_FOUND {
        return Err(ApiError::method_not_allowed());
    }
    let known = header(&request.headers, &IF_NONE_MATCH);
    Ok(Answer::new(page.code, page.content_type, page.body).with_etag(page.etag, known))
}

impl Exchange<'_> {
    fn answer(self, method: &Method) -> Result<Answer, ApiError> {
        if self.target.subresource.is_some() {
            return self.subresource(method);
        }
        let named = self.target.name.is_some();
        match (method, named) {
            (&Method::GET, true) if self.target.watch => self.allow("watch")?.watch(),
            (&Method::GET, true) => self.allow("get")?.get(),
            (&Method::GET, false) => self.allow("list")?.list_or_watch(),
            (&Method::POST, false) => self.allow("create")?.create(),
            (&Method::PUT, true) => self.allow("update")?.update(None),
            (&Method::PATCH, true) => self.allow("patch")?.patch(None),
            (&Method::DELETE, true) => self.allow("delete")?.delete(),
            (&Method::DELETE, false) => self.allow("deletecollection")?.delete_collection(),
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    /// Goes on if the resource has the verb, and the path says in which namespace to write.
    fn allow(self, verb: &str) -> Result<Self, ApiError> {
        let anywhere = self.target.resource.namespaced && self.target.namespace.is_none();
        let reads = matches!(verb, "list" | "watch");
        if !self.target.resource.has_verb(verb) || (anywhere && !reads) {
            return Err(ApiError::method_not_allowed());
        }
        Ok(self)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        header(&self.request.headers, name)
    }

    /// How the client wants the answer.
    fn representation(&self) -> Result<Representation, ApiError> {
        let representation = Representation::negotiate(self.header(&ACCEPT))?;
        Ok(representation.with_pretty(self.query.all("pretty").next()))
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
