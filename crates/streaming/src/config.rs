use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How streams are served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamingConfig {
    /// The loopback address to listen at. Port 0, the default, lets the system choose.
    pub address: SocketAddr,
    /// How long a connection may be without a byte either way. Default 4 hours.
    pub idle_timeout: Duration,
    /// How long a client may take for its request, and then until it has opened the streams that it
    /// wants. Default 30 s.
    pub stream_creation_timeout: Duration,
    /// How long a client may take to read what is left, and to close the connection, when a command
    /// has ended. Default 15 minutes.
    pub finish_timeout: Duration,
    /// How long the other side of a forwarded connection may take for what it was sent, when the
    /// client is gone. Default 10 s.
    pub linger_timeout: Duration,
    /// How long a URL is good for. Default 1 minute.
    pub url_lifetime: Duration,
    /// How many URLs may wait for their clients. Default 1000.
    pub max_in_flight: usize,
    /// How many connections may be open. Default 1000; more wait in the system's backlog.
    pub max_connections: usize,
    /// How many streams of one port-forward may be open, two for each forwarded connection.
    /// Default 2048; more are refused.
    pub max_streams: usize,
    /// The largest WebSocket message that is accepted, in bytes. Default 32 MiB.
    pub max_message_size: usize,
    /// Makes the tokens in URLs the same in each run, and so guessable: for tests. Default none:
    /// they come from the system's source of randomness.
    pub token_seed: Option<u64>,
}

impl Default for StreamingConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            idle_timeout: Duration::from_secs(4 * 60 * 60),
            stream_creation_timeout: Duration::from_secs(30),
            finish_timeout: Duration::from_secs(15 * 60),
            linger_timeout: Duration::from_secs(10),
            url_lifetime: Duration::from_secs(60),
            max_in_flight: 1000,
            max_connections: 1000,
            max_streams: 2048,
            max_message_size: 32 << 20,
            token_seed: None,
        }
    }
}
