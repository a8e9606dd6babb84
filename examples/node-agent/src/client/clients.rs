use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube_client::Client;
use kube_client::client::{Body, ClientBuilder};
use tower::timeout::TimeoutLayer;
use tower::util::AndThenLayer;
use tower::{BoxError, Service};

use super::{HeartbeatClient, ThrottleLayer};
use crate::config::{Config, Rate};

/// The three clients of an agent. Cheap to clone.
///
/// # Guarantees
///
/// - Each has connections and limits of its own: however many requests one has waiting, those of
///   another do not wait for them.
/// - Heartbeats are not limited, and fail when they are of no use any more.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "clients have nothing to show, and hold credentials"
)]
pub struct Clients {
    /// For pods, and what they refer to.
    pub main: Client,
    /// For events.
    pub events: Client,
    /// For the node's status and its lease.
    pub heartbeat: HeartbeatClient,
}

/// What the clients of an agent may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// How many requests the main client makes. Default: 50 a second, 100 at once.
    pub api: Rate,
    /// How many events are written. Default: 50 a second, 100 at once.
    pub events: Rate,
    /// How long a heartbeat may take. Default: 10 s.
    pub heartbeat_timeout: Duration,
}

impl ClientLimits {
    /// The limits that a configuration asks for.
    ///
    /// A heartbeat that takes longer than the time to the next one, or than the lease holds, is of
    /// no use.
    pub fn of(config: &Config) -> Self {
        Self {
            api: config.api_rate,
            events: config.event_rate,
            heartbeat_timeout: config
                .node_status_update_frequency
                .min(config.node_lease_duration),
        }
    }
}

impl Default for ClientLimits {
    fn default() -> Self {
        let rate = Rate {
            per_second: 50,
            burst: 100,
        };
        Self {
            api: rate,
            events: rate,
            heartbeat_timeout: Duration::from_secs(10),
        }
    }
}

impl Clients {
    /// Clients of the API server that a configuration names. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used: its certificates, its proxy.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn connect(
        config: &kube_client::Config,
        limits: &ClientLimits,
    ) -> Result<Self, kube_client::Error> {
        let limited = |rate| {
            let builder = ClientBuilder::try_from(config.clone())?;
            Ok(builder.with_layer(&ThrottleLayer::new(rate)).build())
        };
        let timeout = limits.heartbeat_timeout;
        let mut config = config.clone();
        let main: Result<_, kube_client::Error> = limited(limits.api);
        let (main, events) = (main?, limited(limits.events)?);
        // A limit for reading would close connections that are idle, just when the next beat is due.
        config.read_timeout = None;
        config.connect_timeout = Some(timeout);
        config.write_timeout = Some(timeout);
        let heartbeat = HeartbeatClient::new(move || {
            let builder = ClientBuilder::try_from(config.clone())?;
            let builder = builder.with_layer(&AndThenLayer::new(whole));
            Ok(builder.with_layer(&TimeoutLayer::new(timeout)).build())
        })?;
        Ok(Self {
            main,
            events,
            heartbeat,
        })
    }

    /// Clients of an API server that is in this process, with the same limits.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn in_process<S, B>(service: S, limits: &ClientLimits) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        const NAMESPACE: &str = "default";
        let limited = |rate| {
            let builder = ClientBuilder::new(service.clone(), NAMESPACE);
            builder.with_layer(&ThrottleLayer::new(rate)).build()
        };
        let (main, events) = (limited(limits.api), limited(limits.events));
        let timeout = limits.heartbeat_timeout;
        let unlimited = move || {
            let builder = ClientBuilder::new(service.clone(), NAMESPACE);
            let builder = builder.with_layer(&AndThenLayer::new(whole));
            builder.with_layer(&TimeoutLayer::new(timeout)).build()
        };
        let first = unlimited();
        let heartbeat = HeartbeatClient::with(first, move || Ok(unlimited()));
        Self {
            main,
            events,
            heartbeat,
        }
    }
}

/// An answer with all of its body, so that the time of a request ends when it has been read.
async fn whole<B>(answer: Response<B>) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(Into::into)?;
    Ok(Response::from_parts(head, body.to_bytes().into()))
}
