use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where a runtime has streams: `http://127.0.0.1:40000/exec/token`, or
/// `http+unix://%2Frun%2Fruntime.sock/exec/token`.
///
/// It is on this machine: whoever talks to the agent gets to no other place by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeUrl {
    pub(super) place: Place,
    /// What clients write into `Host`.
    pub(super) host: String,
    /// The path and the query.
    pub(super) target: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// An URL that is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeUrlError {
    /// It is none.
    #[error("the runtime answered no URL: {0:?}")]
    Malformed(String),
    /// It is of another kind.
    #[error("the runtime streams over {0:?}; only http and http+unix are supported")]
    Scheme(String),
    /// It is elsewhere.
    #[error("the runtime streams at {0:?}, which is not on this machine's loopback")]
    NotLoopback(String),
}

/// Both directions of a connection.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl RuntimeUrl {
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Socket>> {
        Ok(match &self.place {
            Place::Tcp(address) => {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                Box::new(socket)
            }
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl FromStr for RuntimeUrl {
    type Err = RuntimeUrlError;

    fn from_str(url: &str) -> Result<Self, RuntimeUrlError> {
        let malformed = || RuntimeUrlError::Malformed(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "http+unix" => {
                let (path, target) = rest.split_once('/').ok_or_else(malformed)?;
                let path = percent_decode_str(path).decode_utf8();
                let path = PathBuf::from(path.map_err(|_| malformed())?.into_owned());
                if !path.is_absolute() {
                    return Err(malformed());
                }
                Ok(Self {
                    place: Place::Unix(path),
                    host: "localhost".to_owned(),
                    target: format!("/{target}"),
                })
            }
            "http" => {
                let uri: Uri = url.parse().map_err(|_| malformed())?;
                let authority = uri.authority().ok_or_else(malformed)?;
                let host = authority.host();
                let address = host.trim_start_matches('[').trim_end_matches(']');
                let ip = match host.eq_ignore_ascii_case("localhost") {
                    true => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    false => address.parse().ok(),
                };
                let ip = ip.filter(IpAddr::is_loopback);
                let ip = ip.ok_or_else(|| RuntimeUrlError::NotLoopback(host.to_owned()))?;
                let port = authority.port_u16().unwrap_or(80);
                Ok(Self {
                    place: Place::Tcp(SocketAddr::new(ip, port)),
                    host: format!("{host}:{port}"),
                    target: uri
                        .path_and_query()
                        .map_or("/", |target| target.as_str())
                        .to_owned(),
                })
            }
            other => Err(RuntimeUrlError::Scheme(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, place: &str, target: &str) {
        let url: RuntimeUrl = url.parse().unwrap();
        let found = match url.place {
            Place::Tcp(address) => address.to_string(),
            Place::Unix(path) => path.display().to_string(),
        };
        assert_eq!((found.as_str(), url.target.as_str()), (place, target));
    }

    #[test]
    fn runtimes_stream_on_this_machine() {
        check(
            "http://127.0.0.1:40000/exec/t?x=1",
            "127.0.0.1:40000",
            "/exec/t?x=1",
        );
        check("http://[::1]:4/attach/t", "[::1]:4", "/attach/t");
        check("http://localhost:4", "127.0.0.1:4", "/");
        check(
            "http+unix://%2Frun%2Fr.sock/exec/t",
            "/run/r.sock",
            "/exec/t",
        );
    }

    #[test]
    fn urls_of_other_places_are_refused() {
        let error = |url: &str| url.parse::<RuntimeUrl>().unwrap_err();
        for host in [
            "10.0.0.1",
            "example.com",
            "127.0.0.1.example.com",
            "0.0.0.0",
            "[::]",
        ] {
            let url = format!("http://{host}:1/exec/t");
            assert_eq!(error(&url), RuntimeUrlError::NotLoopback(host.to_owned()));
        }
        assert_eq!(
            error("http://127.0.0.1@10.0.0.1:1/"),
            RuntimeUrlError::NotLoopback("10.0.0.1".to_owned())
        );
        assert_eq!(
            error("https://127.0.0.1:1/"),
            RuntimeUrlError::Scheme("https".to_owned())
        );
        for url in ["", "/exec/t", "http+unix://run/x", "http://"] {
            assert_eq!(
                error(url),
                RuntimeUrlError::Malformed(url.to_owned()),
                "{url}"
            );
        }
    }
}
