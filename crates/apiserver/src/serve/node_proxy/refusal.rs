//! What clients are told where a kubelet refuses to show a log.

use http::StatusCode;

use crate::ApiError;

/// How many bytes of a refusal are read.
pub(super) const LONGEST: usize = 50_000;

/// The refusal of the log of a pod by a kubelet that `said` why.
///
/// Most reasons are not the kubelet's to give: what it says of credentials is about the server's.
pub(super) fn of_log(status: StatusCode, pod: &str, said: &str) -> ApiError {
    let (reason, message) = match status {
        StatusCode::INTERNAL_SERVER_ERROR => return ApiError::internal(said),
        StatusCode::BAD_REQUEST => return ApiError::bad_request(said),
        StatusCode::UNAUTHORIZED => (
            "Unauthorized",
            "the server has asked for the client to provide credentials",
        ),
        StatusCode::FORBIDDEN => ("Forbidden", said),
        StatusCode::NOT_FOUND => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        StatusCode::GATEWAY_TIMEOUT => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        other => {
            return ApiError::unclassified(format!(
                "the server responded with the status code {} but did not return more information ( pods/log {pod})",
                other.as_u16()
            ));
        }
    };
    ApiError::node_refused(status, reason, pod, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_words_of_upstream() {
        let told = |code: u16, said: &str| {
            let error = of_log(StatusCode::from_u16(code).unwrap(), "p", said);
            (error.code().as_u16(), error.reason(), error.to_string())
        };
        assert_eq!(
            told(500, "oops"),
            (
                500,
                Some("InternalError"),
                "Internal error occurred: oops".to_owned()
            )
        );
        assert_eq!(told(400, "no"), (400, Some("BadRequest"), "no".to_owned()));
        assert_eq!(
            told(401, "Unauthorized"),
            (
                401,
                Some("Unauthorized"),
                "the server has asked for the client to provide credentials ( pods/log p)"
                    .to_owned()
            )
        );
        assert_eq!(
            told(404, "gone"),
            (
                404,
                Some("NotFound"),
                "the server could not find the requested resource ( pods/log p)".to_owned()
            )
        );
        assert_eq!(
            told(418, "tea"),
            (
                500,
                None,
                "the server responded with the status code 418 but did not return more information ( pods/log p)"
                    .to_owned()
            )
        );
    }
}
