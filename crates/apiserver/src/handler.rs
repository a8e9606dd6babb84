//! From an HTTP request to the operation it asks for, and back to an answer.

mod authorize;
mod encode;
mod eviction;
mod pod;
mod read;
mod scale;
mod subresource;
mod view;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, WARNING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::access::User;
use crate::core::Core;
use crate::error::ApiError;
use crate::pages;
use crate::registry::Resources;
use crate::representation::{Representation, encode_error};
use crate::request::{Query, Route, Target};
use crate::resource::Origin;
use crate::response::ResponseBody;

/// One request, being answered.
struct Exchange<'a> {
    core: &'a Core,
    user: User,
    resources: Arc<Resources>,
    target: Target,
    query: Query<'a>,
    headers: &'a HeaderMap,
    body: Bytes,
}

/// An answer in the making.
struct Answer {
    code: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
    /// Texts for the `Warning` header.
    warnings: Vec<String>,
    etag: Option<String>,
}

impl Core {
    /// Answers a request whose body has been read.
    pub(crate) fn respond(&self, request: Request<Bytes>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let accept = header(&parts.headers, &ACCEPT);
        match self.answer(&parts, body) {
            Ok(answer) => answer.into_response(),
            Err(error) => refusal(accept, &error),
        }
    }

    fn answer(&self, request: &Parts, body: Bytes) -> Result<Answer, ApiError> {
        let resources = self.registry.resources();
        let route = Route::parse(request.uri.path(), &resources);
        let user = self.authorize(request, &route)?;
        match route {
            Route::Unknown => Err(ApiError::unknown_path()),
            Route::Other => page(request, &resources),
            Route::Resource(target) => Exchange {
                core: self,
                user,
                resources,
                target,
                query: Query::parse(request.uri.query()),
                headers: &request.headers,
                body,
            }
            .answer(&request.method),
        }
    }
}

/// The answer that tells an error.
pub(crate) fn refusal(accept: Option<&str>, error: &ApiError) -> Response<ResponseBody> {
    let (content_type, bytes) = encode_error(accept, error);
    let mut response = Answer::new(error.code(), content_type, bytes).into_response();
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The answer to a request that is about no resource.
fn page(request: &Parts, resources: &Resources) -> Result<Answer, ApiError> {
    let accept = header(&request.headers, &ACCEPT);
    let page = pages::page(request.uri.path(), accept, resources)?;
    if request.method != Method::GET && page.code != StatusCode::NOT_FOUND {
        return Err(ApiError::method_not_allowed());
    }
    let known = header(&request.headers, &IF_NONE_MATCH);
    let unchanged = page.etag.is_some() && page.etag.as_deref() == known;
    Ok(Answer {
        code: if unchanged {
            StatusCode::NOT_MODIFIED
        } else {
            page.code
        },
        content_type: page.content_type,
        body: if unchanged { Bytes::new() } else { page.body }.into(),
        warnings: Vec::new(),
        etag: page.etag,
    })
}

impl Exchange<'_> {
    fn answer(self, method: &Method) -> Result<Answer, ApiError> {
        let deprecation = match &self.target.resource.origin {
            Origin::Custom(version) => version.deprecation_warning.clone(),
            Origin::BuiltIn { .. } => None,
        };
        Ok(self.dispatch(method)?.with_warnings(deprecation))
    }

    fn dispatch(self, method: &Method) -> Result<Answer, ApiError> {
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
        header(self.headers, name)
    }

    /// How the client wants the answer.
    fn representation(&self) -> Result<Representation, ApiError> {
        let representation = Representation::negotiate(self.header(&ACCEPT))?;
        Ok(representation.with_pretty(self.query.all("pretty").next()))
    }
}

impl Answer {
    fn new(code: StatusCode, content_type: &'static str, body: impl Into<ResponseBody>) -> Self {
        Self {
            code,
            content_type,
            body: body.into(),
            warnings: Vec::new(),
            etag: None,
        }
    }

    fn value(code: StatusCode, representation: Representation, value: &Value) -> Self {
        let content_type = representation.encoding.content_type();
        Self::new(code, content_type, representation.encode(value))
    }

    /// Adds warnings; each text is said once.
    fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self
    }

    fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(etag) = self.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(ETAG, etag);
        }
        for warning in self.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::try_from(format!("299 - \"{quoted}\"")) {
                headers.append(WARNING, value);
            }
        }
        response
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
