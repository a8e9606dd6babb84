use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::server::answer::{self, Answer};
use crate::server::listener::{Listener, Service};
use crate::server::query::Query;
use crate::server::{HealthChecks, User};

/// After which time a server that failed is started again.
const RESTART: Duration = Duration::from_secs(5);

/// Tells anybody whether the agent is well: `/healthz`, `/livez` and `/readyz`, each with all checks
/// and with one below it.
///
/// If its address cannot be had, it tries again every 5 s: an agent does not end for want of it.
#[derive(Debug)]
pub struct HealthServer {
    address: SocketAddr,
    checks: HealthChecks,
    bound: watch::Sender<Option<SocketAddr>>,
}

struct Health(HealthChecks);

impl HealthServer {
    /// A server of these checks, which binds nothing before it is run.
    pub fn new(address: SocketAddr, checks: HealthChecks) -> Self {
        Self {
            address,
            checks,
            bound: watch::Sender::new(None),
        }
    }

    /// The address that is bound, with its real port, once one is.
    pub fn bound(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.bound.subscribe()
    }

    /// Serves until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all of it at once.
    pub async fn run(self, token: CancellationToken) {
        let health = Arc::new(Health(self.checks));
        while !token.is_cancelled() {
            match Listener::bind(self.address, None).await {
                Ok(listener) => {
                    self.bound.send_replace(Some(listener.address()));
                    listener.serve(Arc::clone(&health), token.clone()).await;
                    self.bound.send_replace(None);
                }
                Err(error) => {
                    let address = self.address;
                    tracing::error!(%address, %error, "failed to start healthz server");
                    token.run_until_cancelled(sleep(RESTART)).await;
                }
            }
        }
    }
}

impl Service for Health {
    async fn answer(&self, request: Request<Incoming>, _: Option<&User>) -> Answer {
        let query = Query::of(request.uri().query());
        let path = request.uri().path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let (root, check) = match path.split_once('/') {
            Some((root, check)) => (root, Some(check)),
            None => (path, None),
        };
        match root {
            "healthz" | "livez" | "readyz" => self.0.answer(root, check, &query),
            _ => answer::not_found(),
        }
    }
}
