//! How a connection stops being HTTP.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::protocol::{
    PORT_FORWARD, PORT_FORWARD_CHANNELS, Protocol, REMOTE_COMMAND, REMOTE_COMMAND_CHANNELS,
};
use crate::request::Request;

pub(crate) const PROTOCOL_VERSION: HeaderName =
    HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_VERSIONS: HeaderName =
    HeaderName::from_static("x-accepted-stream-protocol-versions");
pub(crate) const SPDY: &str = "SPDY/3.1";
/// What RFC 6455 appends to a client's key before it is summed.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

pub(crate) type Answer = Response<Full<Bytes>>;

/// Agrees upon a protocol, and says so.
///
/// # Errors
///
/// The answer that refuses, with upstream's status and text.
pub(crate) fn negotiate(
    headers: &HeaderMap,
    request: &Request,
) -> Result<(Protocol, Answer), Box<Answer>> {
    let forward = match request {
        Request::PortForward(forward) => Some(forward),
        Request::Exec(_) | Request::Attach(_) => None,
    };
    if is_websocket(headers) {
        let known: &[_] = match forward {
            Some(_) => &PORT_FORWARD_CHANNELS,
            None => &REMOTE_COMMAND_CHANNELS,
        };
        let (name, answer) = websocket(headers, known)?;
        let protocol = Protocol::over_websocket(name);
        if let (Protocol::Channels(_), Some(forward)) = (protocol, forward) {
            // Two channels for each port, and the number of a channel is a byte.
            if forward.ports.is_empty() || forward.ports.len() > 127 {
                return Err(refusal(
                    StatusCode::BAD_REQUEST,
                    "between 1 and 127 ports can be forwarded over WebSocket channels",
                ));
            }
        }
        Ok((protocol, answer))
    } else {
        let known: &[_] = match forward {
            Some(_) => &PORT_FORWARD,
            None => &REMOTE_COMMAND,
        };
        let (name, answer) = spdy(headers, known)?;
        Ok((Protocol::over_spdy(name), answer))
    }
}

/// An answer that ends the matter, as plain text.
pub(crate) fn refusal(status: StatusCode, text: &str) -> Box<Answer> {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Box::new(answer)
}

/// The answer to a client's key.
pub(crate) fn accept_key(key: &[u8]) -> String {
    let sum = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        &[key, KEY_SUFFIX.as_bytes()].concat(),
    );
    BASE64_STANDARD.encode(sum)
}

fn spdy<'a>(headers: &HeaderMap, known: &[&'a str]) -> Result<(&'a str, Answer), Box<Answer>> {
    let wanted = tokens(headers, &PROTOCOL_VERSION);
    if wanted.is_empty() {
        let text = format!(
            "unable to upgrade: header X-Stream-Protocol-Version names no protocol in request \
             with {} headers",
            headers.len()
        );
        return Err(refusal(StatusCode::BAD_REQUEST, &text));
    }
    let Some(name) = first_known(&wanted, known) else {
        let text = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server \
             accepts [{}]",
            wanted.join(" "),
            known.join(" ")
        );
        let mut answer = refusal(StatusCode::FORBIDDEN, &text);
        for name in known {
            if let Ok(name) = HeaderValue::from_str(name) {
                answer.headers_mut().append(ACCEPTED_VERSIONS, name);
            }
        }
        return Err(answer);
    };
    let upgrade = tokens(headers, &UPGRADE);
    if !is_upgrade(headers) || !upgrade.iter().any(|to| to.eq_ignore_ascii_case(SPDY)) {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "unable to upgrade: missing upgrade headers in request",
        ));
    }
    let mut answer = switching(SPDY);
    if let Ok(name) = HeaderValue::from_str(name) {
        answer.headers_mut().insert(PROTOCOL_VERSION, name);
    }
    Ok((name, answer))
}

/// Agrees upon a protocol over WebSocket, and says so.
///
/// # Errors
///
/// As of [`negotiate`].
pub(crate) fn websocket<'a>(
    headers: &HeaderMap,
    known: &[&'a str],
) -> Result<(&'a str, Answer), Box<Answer>> {
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let mut answer = refusal(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
        let version = HeaderValue::from_static("13");
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        return Err(answer);
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        let text = "mismatch challenge/response";
        return Err(refusal(StatusCode::BAD_REQUEST, text));
    };
    let mut wanted = tokens(headers, &SEC_WEBSOCKET_PROTOCOL);
    if wanted.is_empty() {
        wanted.push("");
    }
    let Some(name) = first_known(&wanted, known) else {
        let text = format!(
            "requested protocol(s) are not supported: [{}]; supports [{}]",
            wanted.join(" "),
            known.join(" ")
        );
        return Err(refusal(StatusCode::FORBIDDEN, &text));
    };
    let mut answer = switching("websocket");
    if let Ok(accept) = HeaderValue::from_str(&accept_key(key.as_bytes())) {
        answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !name.is_empty()
        && let Ok(name) = HeaderValue::from_str(name)
    {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok((name, answer))
}

fn switching(to: &'static str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(to));
    answer
}

/// The client's first choice that is known.
fn first_known<'a>(wanted: &[&str], known: &[&'a str]) -> Option<&'a str> {
    wanted
        .iter()
        .find_map(|name| known.iter().find(|known| *known == name).copied())
}

pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let websocket = |to: &&str| to.eq_ignore_ascii_case("websocket");
    is_upgrade(headers) && tokens(headers, &UPGRADE).iter().any(websocket)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    tokens(headers, &CONNECTION)
        .iter()
        .any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// What stands between commas, in all lines of a header.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn the_answer_to_a_key() {
        let answer = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_client_chooses_among_what_is_known() {
        let known = ["v2", "v1"];
        assert_eq!(first_known(&["v3", "v1", "v2"], &known), Some("v1"));
        assert_eq!(first_known(&["v3"], &known), None);
    }
}
