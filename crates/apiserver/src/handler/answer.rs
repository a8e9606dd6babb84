//! An answer in the making.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, RETRY_AFTER, WARNING};
use http::{Extensions, HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::error::ApiError;
use crate::representation::{Representation, encode_error};
use crate::response::ResponseBody;

/// What is answered to one request.
#[derive(Debug)]
pub(super) struct Answer {
    code: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
    /// Texts for the `Warning` header.
    warnings: Vec<String>,
    etag: Option<String>,
    /// In seconds.
    retry_after: Option<u32>,
    /// What is for others on the way to the client.
    extensions: Extensions,
}

impl Answer {
    pub(super) fn new(
        code: StatusCode,
        content_type: &'static str,
        body: impl Into<ResponseBody>,
    ) -> Self {
        Self {
            code,
            content_type,
            body: body.into(),
            warnings: Vec::new(),
            etag: None,
            retry_after: None,
            extensions: Extensions::new(),
        }
    }

    /// An answer that shows `value`.
    pub(super) fn value(code: StatusCode, representation: Representation, value: &Value) -> Self {
        let content_type = representation.encoding.content_type();
        Self::new(code, content_type, representation.encode(value))
    }

    /// An answer that says that there is nothing to show.
    pub(super) fn nothing() -> Self {
        Self::new(StatusCode::NO_CONTENT, "", Bytes::new())
    }

    /// An answer that a node is to give.
    #[cfg(feature = "listener")]
    pub(super) fn forward(forward: crate::proxy::Forward) -> Self {
        let mut answer = Self::new(StatusCode::OK, "", Bytes::new());
        answer.extensions.insert(forward);
        answer
    }

    /// An answer that says why there is no other.
    pub(super) fn refusal(accept: Option<&str>, error: &ApiError) -> Self {
        let (content_type, bytes) = encode_error(accept, error);
        Self {
            retry_after: error.retry_after(),
            ..Self::new(error.code(), content_type, bytes)
        }
    }

    /// Adds warnings; each text is said once.
    pub(super) fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self
    }

    /// Names the body, and leaves it out for a client that `known`s it.
    pub(super) fn with_etag(mut self, etag: Option<String>, known: Option<&str>) -> Self {
        if etag.is_some() && etag.as_deref() == known {
            self.code = StatusCode::NOT_MODIFIED;
            self.body = Bytes::new().into();
        }
        self.etag = etag;
        self
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.code;
        *response.extensions_mut() = self.extensions;
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(etag) = self.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(ETAG, etag);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
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
