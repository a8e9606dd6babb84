//! Who may send requests, decided before anything else looks at them.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, Uri};

use super::Token;
use crate::access::User;
use crate::{ApiError, ApiServer};

/// The rule of one listener.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Who sends the token, or one of a service account of the server.
    Token(Token, Option<ApiServer>),
    /// Who is on this machine.
    Anyone,
}

impl Access {
    /// Lets a request pass, or says why not; who sends it, unless it is an administrator.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<Option<User>, ApiError> {
        match self {
            Self::Token(token, accounts) => match bearer(request) {
                Some(sent) if token.is(sent) => Ok(None),
                Some(sent) => accounts
                    .as_ref()
                    .and_then(|server| server.authenticate(std::str::from_utf8(sent).ok()?))
                    .map(Some)
                    .ok_or_else(ApiError::unauthorized),
                None if is_open(request) => Ok(None),
                None => Err(ApiError::unauthorized()),
            },
            Self::Anyone if names_this_machine(request) => Ok(None),
            Self::Anyone => Err(ApiError::new(
                http::StatusCode::FORBIDDEN,
                "Forbidden",
                "without a token, only requests to a loopback address or localhost are answered",
            )),
        }
    }
}

/// What was sent as credentials, if anything was.
fn bearer<B>(request: &Request<B>) -> Option<&[u8]> {
    let header = request.headers().get(AUTHORIZATION)?.as_bytes();
    match header.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            Some(token.trim_ascii())
        }
        // Credentials of a kind that is not known are wrong credentials, not none.
        _ => Some(b""),
    }
}

/// What a cluster shows to anyone: whether it is well, and its version.
fn is_open<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let first = path.split('/').nth(1).unwrap_or_default();
    request.method() == Method::GET
        && (["healthz", "livez", "readyz"].contains(&first)
            || matches!(path, "/version" | "/version/"))
}

/// Whether the client means this machine by a name that is always its own.
///
/// A web page can make a browser send requests to any name its author controls, and let that
/// name mean 127.0.0.1. Such a request carries that name.
fn names_this_machine<B>(request: &Request<B>) -> bool {
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => request
            .headers()
            .get(HOST)
            .and_then(|host| Uri::try_from(host.as_bytes()).ok())
            .and_then(|uri| uri.authority().cloned()),
    };
    authority.is_some_and(|authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(access: &Access, method: &str, path: &str, header: Option<(&str, &str)>, code: u16) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(()).unwrap();
        let answer = access
            .check(&request)
            .map_or_else(|error| error.code().as_u16(), |_| 200);
        assert_eq!(answer, code, "{method} {path} {header:?}");
    }

    #[test]
    fn a_token_opens_everything_and_nothing_else_does() {
        let access = Access::Token("t0ken".parse().unwrap(), None);
        let sent = |value| Some(("authorization", value));
        check(&access, "GET", "/api", sent("Bearer t0ken"), 200);
        check(&access, "GET", "/api", sent("bearer  t0ken "), 200);
        check(&access, "GET", "/api", None, 401);
        check(&access, "GET", "/api", sent("Bearer"), 401);
        check(&access, "GET", "/api", sent("Bearer other"), 401);
        check(&access, "GET", "/api", sent("Basic t0ken"), 401);
        check(&access, "GET", "/api", sent("t0ken"), 401);
    }

    #[test]
    fn health_and_version_are_open_unless_wrong_credentials_are_sent() {
        let access = Access::Token("t0ken".parse().unwrap(), None);
        for path in [
            "/healthz",
            "/livez",
            "/readyz",
            "/readyz/ping",
            "/version",
            "/version?timeout=5s",
        ] {
            check(&access, "GET", path, None, 200);
            check(
                &access,
                "GET",
                path,
                Some(("authorization", "Bearer x")),
                401,
            );
            check(&access, "POST", path, None, 401);
        }
        check(&access, "GET", "/healthzz", None, 401);
        check(&access, "GET", "/versions", None, 401);
    }

    #[test]
    fn without_a_token_a_name_that_may_be_elsewhere_is_refused() {
        for host in [
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:1",
            "localhost",
            "LOCALHOST:1",
        ] {
            check(&Access::Anyone, "GET", "/api", Some(("host", host)), 200);
        }
        for host in [
            "evil.example",
            "evil.example:1",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ] {
            check(&Access::Anyone, "GET", "/api", Some(("host", host)), 403);
            check(
                &Access::Anyone,
                "GET",
                &format!("http://{host}/api"),
                None,
                403,
            );
        }
        check(&Access::Anyone, "GET", "http://localhost:1/api", None, 200);
        check(&Access::Anyone, "GET", "/api", None, 403);
    }
}
