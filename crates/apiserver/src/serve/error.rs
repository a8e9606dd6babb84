use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a listener could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is reachable from other machines.
    #[error(
        "{0} is not a loopback address: this server is for development and is served on 127.0.0.1 or [::1] only"
    )]
    NotLoopback(SocketAddr),

    /// The address cannot be bound, for instance because it is in use.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },

    /// The certificate authority or the server's certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The authority that kubelets are to be trusted by is not made of certificates in PEM.
    #[error("cannot trust the certificate authority of nodes")]
    NodeAuthority(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The system gives no random bytes to make a token of.
    #[error("the system's source of randomness failed")]
    Randomness,

    /// A bearer token is empty, or holds characters that an HTTP header cannot.
    #[error("a token is one or more visible ASCII characters, without spaces")]
    InvalidToken,

    /// A file that something else wrote stands where the kubeconfig was to be written.
    #[error("{} exists and was not written by kubewright-apiserver: it is left as it is", path.display())]
    ForeignKubeconfig {
        /// The file.
        path: PathBuf,
    },

    /// The kubeconfig cannot be written.
    #[error("cannot write {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
