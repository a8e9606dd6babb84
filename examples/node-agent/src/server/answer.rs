//! Answers to requests.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;

use crate::causes::with_causes;
use crate::server::HostError;

/// An error of any kind, as HTTP bodies have them.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// An answer.
pub(super) type Answer = Response<Body>;

pub(super) fn body(content: impl Into<Bytes>) -> Body {
    let full = Full::new(content.into());
    full.map_err(|never| match never {}).boxed_unsync()
}

/// An answer in words.
pub(super) fn text(status: StatusCode, content: impl Into<String>) -> Answer {
    let mut answer = typed(status, "text/plain; charset=utf-8", content.into());
    answer
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// What a client asked for, of this type.
pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(body(content));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn json(content: &impl Serialize) -> Answer {
    match serde_json::to_vec(content) {
        Ok(content) => typed(StatusCode::OK, "application/json", content),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Metrics, in the form that prometheus-client writes.
pub(super) fn metrics(content: String) -> Answer {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    typed(StatusCode::OK, form, content)
}

pub(super) fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "404: Page Not Found")
}

pub(super) fn method_not_allowed(allowed: &[&str]) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

/// That the agent cannot do what it is asked for, with all the causes that there are.
pub(super) fn failed(status: StatusCode, error: &HostError) -> Answer {
    text(status, with_causes(error))
}
