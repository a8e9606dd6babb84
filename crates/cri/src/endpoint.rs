use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// Where a runtime listens: `unix:///run/containerd/containerd.sock`.
///
/// Only unix sockets are supported, by an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    path: PathBuf,
}

/// What is wrong with the text of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It names no protocol, as a bare path does.
    #[error("endpoint {0:?} names no protocol: write unix:///path")]
    NoProtocol(String),
    /// The protocol is not `unix`.
    #[error("endpoint {0:?} is of a protocol that is not supported: only unix:///path is")]
    UnsupportedProtocol(String),
    /// The path is not absolute.
    #[error("endpoint {0:?} has no absolute path: write unix:///path")]
    RelativePath(String),
}

impl Endpoint {
    /// The socket at a path.
    ///
    /// # Errors
    ///
    /// [`EndpointError::RelativePath`].
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, EndpointError> {
        let path = path.into();
        if path.is_absolute() {
            Ok(Self { path })
        } else {
            Err(EndpointError::RelativePath(path.display().to_string()))
        }
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("://") {
            None => Err(EndpointError::NoProtocol(text.to_owned())),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self { path: path.into() }),
            Some(("unix", _)) => Err(EndpointError::RelativePath(text.to_owned())),
            Some(_) => Err(EndpointError::UnsupportedProtocol(text.to_owned())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_unix_sockets_by_absolute_path() {
        let endpoint: Endpoint = "unix:///run/a.sock".parse().unwrap();
        assert_eq!(endpoint.path(), Path::new("/run/a.sock"));
        assert_eq!(endpoint.to_string(), "unix:///run/a.sock");
        assert_eq!(Endpoint::unix("/run/a.sock"), Ok(endpoint));
    }

    #[test]
    fn endpoints_of_any_other_shape_are_refused() {
        let parse = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert!(matches!(parse("/run/a.sock"), EndpointError::NoProtocol(_)));
        assert!(matches!(
            parse("tcp://127.0.0.1:1"),
            EndpointError::UnsupportedProtocol(_)
        ));
        assert!(matches!(
            parse("unix://a.sock"),
            EndpointError::RelativePath(_)
        ));
        assert!(matches!(
            Endpoint::unix("a.sock"),
            Err(EndpointError::RelativePath(_))
        ));
    }
}
