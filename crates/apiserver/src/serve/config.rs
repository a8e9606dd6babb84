use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kubewright_clock::Clock;

use super::Token;
use crate::ApiServer;

/// How a [`Listener`](super::Listener) is bound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// The address to bind; it must be loopback. Port 0 takes any free port.
    ///
    /// Default: `127.0.0.1:0`.
    pub address: SocketAddr,
    /// HTTPS or plain HTTP. Default: HTTPS.
    pub transport: Transport,
    /// Who may send requests. Default: who has a token made at random.
    pub authentication: Authentication,
    /// The server whose service accounts are let in with their tokens, where a token is demanded.
    ///
    /// They may what the roles of that server grant them, and give no orders to a
    /// [`DebugService`](super::DebugService). Only a service of the same server knows them apart
    /// from administrators. Default: none.
    pub service_accounts: Option<ApiServer>,
    /// What one client may cost.
    pub limits: Limits,
    /// Where the validity of certificates is counted from. Default: the system's clock.
    pub clock: Clock,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: Transport::default(),
            authentication: Authentication::default(),
            service_accounts: None,
            limits: Limits::default(),
            clock: Clock::system(),
        }
    }
}

/// How bytes travel between a client and the listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TLS, with a certificate for `127.0.0.1`, `::1` and `localhost` from an authority made for
    /// this listener. HTTP/2 and HTTP/1.1 are offered by ALPN.
    #[default]
    Https,
    /// Plain HTTP/1.1, or HTTP/2 where the client begins with it.
    ///
    /// `kubectl` sends no token over plain HTTP; use [`Authentication::Anyone`] for it.
    Http,
}

/// Who may send requests.
///
/// `/healthz`, `/livez`, `/readyz` and `/version` are open to anyone, as they are on a cluster.
#[derive(Clone, Debug, Default)]
pub enum Authentication {
    /// Who sends a bearer token that is made at random when the listener is bound.
    #[default]
    RandomToken,
    /// Who sends this bearer token.
    Token(Token),
    /// Anyone who reaches the socket: all users of this machine.
    Anyone,
}

/// What one client, or all of them, may cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at a time. More wait in the system's backlog until one ends.
    ///
    /// Default: 1000.
    pub connections: usize,
    /// Requests in flight in one HTTP/2 connection, watches included.
    ///
    /// Clients built on hyper keep to one connection per server and wait when this is reached, so
    /// it bounds the watches of such a client. Default: 10,000.
    pub streams: u32,
    /// From accepting a connection until its first request has arrived, TLS included.
    ///
    /// Default: 30 s.
    pub first_request: Duration,
    /// How long an HTTP/1.1 connection may take for the head of its next request, idle time included.
    ///
    /// Clients keep idle connections for 90 s; this is longer, so that a client does
    /// not send a request into a connection that is being closed. Default: 120 s.
    pub next_request: Duration,
    /// How long the body of a request may make no progress. Default: 30 s.
    pub body_stall: Duration,
    /// How long a client may leave a full socket unread. Default: 60 s.
    ///
    /// Over HTTP/2 a client that stops reading one stream stalls that stream only; nothing is read
    /// from the service for it meanwhile.
    pub write_stall: Duration,
    /// How often an HTTP/2 client is asked whether it is still there; it has 20 s to answer.
    ///
    /// Default: 30 s.
    pub ping: Duration,
    /// How long connections may go on after the listener was told to stop. Default: 5 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            streams: 10_000,
            first_request: Duration::from_secs(30),
            next_request: Duration::from_secs(120),
            body_stall: Duration::from_secs(30),
            write_stall: Duration::from_secs(60),
            ping: Duration::from_secs(30),
            stop: Duration::from_secs(5),
        }
    }
}
