use std::time::Duration;

use crate::serve::Token;

/// How a [`NodeProxy`](super::NodeProxy) speaks to kubelets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeProxyConfig {
    /// HTTPS or plain HTTP.
    pub transport: NodeTransport,
    /// The bearer token that kubelets demand. Default: none is sent.
    pub token: Option<Token>,
    /// How long connecting to a kubelet may take, TLS included. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a kubelet may take until it begins to answer. Default: 30 s.
    ///
    /// A log that is followed may keep silent for as long as its client waits.
    pub answer_timeout: Duration,
    /// Once one end of a tunnel is done, how long the other may be silent before the tunnel is
    /// closed. Default: 30 s.
    pub linger: Duration,
}

/// How bytes travel between the server and kubelets.
#[derive(Clone, Debug)]
pub enum NodeTransport {
    /// TLS, with a certificate for the address of the node.
    Https {
        /// The authorities that certificates of kubelets are signed by, in PEM.
        certificate_authority: String,
    },
    /// Plain HTTP: whoever is on the way reads all of it, [the token](NodeProxyConfig::token) too,
    /// which opens every kubelet that knows it. It is for kubelets on the same machine.
    Http,
}

impl NodeProxyConfig {
    /// The defaults, for kubelets that are reached so.
    pub fn new(transport: NodeTransport) -> Self {
        Self {
            transport,
            token: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(30),
        }
    }
}

impl NodeTransport {
    /// The scheme of URLs.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Https { .. } => "https",
            Self::Http => "http",
        }
    }
}
