//! What a server's refusals mean to a reflector.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube_client::client::Body;
use kube_core::response::{Status, reason};

use crate::source::SourceError;

/// The longest text of a refusal that is read, in bytes.
const MAX_REFUSAL: usize = 1 << 20;

/// By which a server says, in three ways, that a version is not there yet.
const TOO_LARGE_CAUSE: &str = "ResourceVersionTooLarge";
const TOO_LARGE_MESSAGE: &str = "Too large resource version";

/// The error that a response is which is no success.
pub(super) async fn refusal(response: Response<Body>) -> SourceError {
    let (head, body) = response.into_parts();
    let text = match Limited::new(body, MAX_REFUSAL).collect().await {
        Ok(text) => text.to_bytes(),
        Err(error) => return SourceError::Transport(error),
    };
    let retry_after = retry_after(&head.headers);
    match status(&text) {
        Some(mut status) => {
            if status.code == 0 {
                status.code = head.status.as_u16();
            }
            classify(&status, retry_after)
        }
        // Proxies answer in their own words.
        None => {
            let message = String::from_utf8_lossy(&text[..text.len().min(500)]);
            let status = Status::failure(message.trim(), "").with_code(head.status.as_u16());
            classify(&status, retry_after)
        }
    }
}

/// A text as the `Status` that it says it is.
///
/// Every member of a `Status` may be missing, so that any object at all would parse as one.
pub(super) fn status(text: &[u8]) -> Option<Status> {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    let kind: Kind<'_> = serde_json::from_slice(text).ok()?;
    (kind.kind == "Status")
        .then(|| serde_json::from_slice(text).ok())
        .flatten()
}

/// What a reflector is to make of a server's `Status`.
pub(super) fn classify(status: &Status, retry_after: Option<Duration>) -> SourceError {
    let message = status.message.clone();
    let is = |word: &str, code: StatusCode| {
        status.reason == word
            || (!reason::is_known(&status.reason) || status.reason.is_empty())
                && status.code == code.as_u16()
    };
    if is_too_large(status) {
        return SourceError::ResourceVersionTooLarge { message };
    }
    if status.reason == reason::EXPIRED || is(reason::GONE, StatusCode::GONE) {
        return SourceError::Expired { message };
    }
    if is(reason::TOO_MANY_REQUESTS, StatusCode::TOO_MANY_REQUESTS) {
        let seconds = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0);
        let retry_after =
            retry_after.or(seconds.map(|seconds| Duration::from_secs(seconds.into())));
        return SourceError::TooManyRequests {
            retry_after,
            message,
        };
    }
    if is(reason::NOT_FOUND, StatusCode::NOT_FOUND) {
        return SourceError::NotFound { message };
    }
    if is(reason::FORBIDDEN, StatusCode::FORBIDDEN)
        || is(reason::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    {
        return SourceError::Forbidden { message };
    }
    if is(reason::BAD_REQUEST, StatusCode::BAD_REQUEST)
        || is(reason::INVALID, StatusCode::UNPROCESSABLE_ENTITY)
    {
        return SourceError::Invalid { message };
    }
    if is(reason::INTERNAL_ERROR, StatusCode::INTERNAL_SERVER_ERROR) {
        return SourceError::Internal { message };
    }
    if matches!(status.code, 502..=504) {
        // Something answered in the server's place, or the server is on its way up or down.
        return SourceError::Unreachable(Box::new(status.clone()));
    }
    SourceError::Status {
        code: status.code,
        reason: status.reason.clone(),
        message,
    }
}

/// Whether a status says that a version is not there yet: by a cause of that kind, or where the
/// server is older, by the text of a cause or of the whole, of a timeout.
fn is_too_large(status: &Status) -> bool {
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    causes.iter().any(|cause| cause.reason == TOO_LARGE_CAUSE)
        || status.reason == reason::TIMEOUT
            && (causes
                .iter()
                .any(|cause| cause.message == TOO_LARGE_MESSAGE)
                || status.message.contains(TOO_LARGE_MESSAGE))
}

/// `Retry-After` in seconds, the form that API servers use.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: &serde_json::Value, expected: &str) {
        let text = serde_json::to_vec(status).unwrap();
        let error = classify(&super::status(&text).unwrap(), None);
        let shown = format!("{error:?}");
        let variant = shown.split([' ', '(']).next().unwrap();
        assert_eq!(variant, expected, "{status}");
    }

    /// Answers to client-go's `TestReflectorFullListIfTooLarge`: the three shapes of the error.
    #[test]
    fn a_version_that_is_too_large_shows_in_three_ways() {
        use serde_json::json;
        check(
            &json!({"kind": "Status", "code": 504, "reason": "Timeout", "message": "m", "details":
                {"causes": [{"reason": "ResourceVersionTooLarge", "message": "x"}]}}),
            "ResourceVersionTooLarge",
        );
        check(
            &json!({"kind": "Status", "code": 504, "reason": "Timeout", "message": "m", "details":
                {"causes": [{"message": "Too large resource version"}]}}),
            "ResourceVersionTooLarge",
        );
        check(
            &json!({"kind": "Status", "code": 504, "reason": "Timeout",
                "message": "Timeout: Too large resource version: 20, current: 10"}),
            "ResourceVersionTooLarge",
        );
        check(
            &json!({"kind": "Status", "code": 504, "reason": "Timeout", "message": "m"}),
            "Unreachable",
        );
    }

    #[test]
    fn statuses_are_told_apart_by_reason_and_by_code_where_there_is_none() {
        use serde_json::json;
        for (code, reason, expected) in [
            (410, "Expired", "Expired"),
            (410, "Gone", "Expired"),
            (410, "", "Expired"),
            (429, "TooManyRequests", "TooManyRequests"),
            (429, "", "TooManyRequests"),
            (404, "NotFound", "NotFound"),
            (403, "Forbidden", "Forbidden"),
            (401, "Unauthorized", "Forbidden"),
            (400, "BadRequest", "Invalid"),
            (422, "Invalid", "Invalid"),
            (500, "InternalError", "Internal"),
            (500, "", "Internal"),
            (500, "StorageReadError", "Status"),
            (503, "ServiceUnavailable", "Unreachable"),
            (502, "", "Unreachable"),
            (406, "NotAcceptable", "Status"),
            (500, "NotFound", "NotFound"),
        ] {
            check(
                &json!({"kind": "Status", "code": code, "reason": reason}),
                expected,
            );
        }
    }

    #[test]
    fn an_object_is_no_status() {
        assert_eq!(status(br#"{"kind": "Pod", "message": "m"}"#), None);
        assert_eq!(status(br#"{"message": "m"}"#), None);
        assert_eq!(status(b"bad gateway"), None);
    }
}
