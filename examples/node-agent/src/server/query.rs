use http::HeaderMap;
use http::header::{CONNECTION, UPGRADE};

use crate::server::Streams;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// All values of a parameter, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The streams that are asked for.
    ///
    /// Answers to `NewOptions` of the package `remotecommand` of Kubernetes 1.36.
    pub(super) fn streams(&self) -> Result<Streams, String> {
        let asked = |name| self.first(name) == Some("1");
        let tty = asked("tty");
        let streams = Streams {
            stdin: asked("input"),
            stdout: asked("output"),
            // A terminal has one stream for both.
            stderr: asked("error") && !tty,
            tty,
        };
        match streams.stdin || streams.stdout || streams.stderr {
            true => Ok(streams),
            false => Err("you must specify at least 1 of stdin, stdout, stderr".to_owned()),
        }
    }

    /// The ports that are asked for: over WebSocket they are named here, else in the stream.
    ///
    /// Answers to `NewV4Options` of the package `portforward` of Kubernetes 1.36.
    pub(super) fn ports(&self, headers: &HeaderMap) -> Result<Vec<u16>, String> {
        if !is_web_socket(headers) || tunnels_spdy(headers) {
            return Ok(Vec::new());
        }
        let mut ports = Vec::new();
        for value in self.all("port") {
            if value.is_empty() {
                return Err("query parameter \"port\" cannot be empty".to_owned());
            }
            for port in value.split(',') {
                let port: u16 = port
                    .parse()
                    .map_err(|error| format!("unable to parse {value:?} as a port: {error}"))?;
                if port == 0 {
                    return Err(format!("port {value:?} must be > 0"));
                }
                ports.push(port);
            }
        }
        match ports.is_empty() {
            true => Err("query parameter \"port\" is required".to_owned()),
            false => Ok(ports),
        }
    }
}

/// Whether a request asks for its connection to be given over to another protocol.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && has_token(headers, CONNECTION.as_str(), "upgrade")
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    is_upgrade(headers) && has_token(headers, UPGRADE.as_str(), "websocket")
}

/// Whether SPDY is what travels in the WebSocket.
fn tunnels_spdy(headers: &HeaderMap) -> bool {
    let protocol = "SPDY/3.1+portforward.k8s.io";
    has_token(headers, "sec-websocket-protocol", protocol)
}

fn has_token(headers: &HeaderMap, name: &str, token: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn ports(query: &str, web_socket: Option<&str>) -> Result<Vec<u16>, String> {
        let mut headers = HeaderMap::new();
        if let Some(protocol) = web_socket {
            headers.insert("connection", "keep-alive, Upgrade".parse().unwrap());
            headers.insert("upgrade", "websocket".parse().unwrap());
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        Query::of(Some(query)).ports(&headers)
    }

    /// Answers to `TestServeWSPortForward`, as far as it is about the ports.
    #[test]
    fn serve_ws_port_forward() {
        let v4 = Some("v4.channel.k8s.io");
        for (query, expected) in [
            ("", Err("query parameter \"port\" is required")),
            ("port=", Err("query parameter \"port\" cannot be empty")),
            (
                "port=abc",
                Err("unable to parse \"abc\" as a port: invalid digit found in string"),
            ),
            (
                "port=-1",
                Err("unable to parse \"-1\" as a port: invalid digit found in string"),
            ),
            (
                "port=65536",
                Err("unable to parse \"65536\" as a port: number too large to fit in target type"),
            ),
            ("port=0", Err("port \"0\" must be > 0")),
            ("port=1", Ok(vec![1])),
            ("port=8000", Ok(vec![8000])),
            ("port=65535", Ok(vec![65535])),
            ("port=9000,9001&port=9002", Ok(vec![9000, 9001, 9002])),
        ] {
            assert_eq!(ports(query, v4), expected.map_err(str::to_owned), "{query}");
        }
    }

    #[test]
    fn ports_are_named_later_over_spdy() {
        assert_eq!(ports("", None), Ok(vec![]));
        assert_eq!(ports("", Some("SPDY/3.1+portforward.k8s.io")), Ok(vec![]));
    }
}
