use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::probe::target::{TargetError, container_port};
use crate::probe::tcp::address;

/// What a path that is no path has to have encoded to be sent all the same.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'\\')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a request is sent for: servers learn it by the user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPurpose {
    /// A probe: `kube-probe/1.36`.
    Probe,
    /// A hook: `kube-lifecycle/1.36`.
    Lifecycle,
}

/// A request for a URL, as a pod's spec has it.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// Whether it is sent over TLS.
    pub is_tls: bool,
    /// Where to: a name or an address, without brackets.
    pub host: String,
    /// To which port.
    pub port: u16,
    /// The path and the query, beginning with a slash.
    pub path: String,
    /// The headers, `Host` among them only if it is not where the request goes.
    pub headers: HeaderMap,
}

impl HttpTarget {
    /// The request that an action means; it goes to the pod's address if it names no host.
    ///
    /// # Errors
    ///
    /// If the container has no such port, or a header cannot be sent.
    pub fn of(
        action: &HTTPGetAction,
        container: &Container,
        pod_ip: &str,
        purpose: HttpPurpose,
    ) -> Result<Self, TargetError> {
        let host = action.host.as_deref().filter(|host| !host.is_empty());
        let host = host.unwrap_or(pod_ip);
        let scheme = action.scheme.as_deref().unwrap_or_default();
        Ok(Self {
            is_tls: scheme.eq_ignore_ascii_case("https"),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: container_port(&action.port, container)?,
            path: path_of(action.path.as_deref().unwrap_or_default()),
            headers: headers_of(action, purpose)?,
        })
    }

    /// The URL, as messages have it.
    pub(super) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    pub(super) fn authority(&self) -> String {
        address(&self.host, self.port)
    }
}

/// A path as it is sent: from a slash on, without a fragment, and encoded where it must be.
pub(super) fn path_of(text: &str) -> String {
    let (text, _) = text.split_once('#').unwrap_or((text, ""));
    let slash = if text.starts_with('/') { "" } else { "/" };
    let path = utf8_percent_encode(text, NOT_IN_PATHS);
    format!("{slash}{path}")
}

/// The headers of a request. One that is given empty is not sent, `User-Agent` and `Accept` have a
/// value unless they are given.
fn headers_of(action: &HTTPGetAction, purpose: HttpPurpose) -> Result<HeaderMap, TargetError> {
    let refuse = |error: &dyn fmt::Display| TargetError::InvalidRequest(error.to_string());
    let mut headers = HeaderMap::new();
    for given in action.http_headers.iter().flatten() {
        let name: HeaderName = given.name.parse().map_err(|error| refuse(&error))?;
        let value: HeaderValue = given.value.parse().map_err(|error| refuse(&error))?;
        headers.append(name, value);
    }
    let agent = match purpose {
        HttpPurpose::Probe => "kube-probe/1.36",
        HttpPurpose::Lifecycle => "kube-lifecycle/1.36",
    };
    for (name, default) in [(header::USER_AGENT, agent), (header::ACCEPT, "*/*")] {
        match headers.get(&name) {
            None => {
                headers.insert(name, HeaderValue::from_static(default));
            }
            Some(given) if given.is_empty() => {
                headers.remove(name);
            }
            Some(_) => {}
        }
    }
    if headers.get(header::HOST).is_some_and(HeaderValue::is_empty) {
        headers.remove(header::HOST);
    }
    Ok(headers)
}

/// Headers may hold secrets.
impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("HttpTarget")
            .field("url", &self.url())
            .field("headers", &headers)
            .finish()
    }
}
