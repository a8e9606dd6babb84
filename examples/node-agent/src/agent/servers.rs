use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::{Agent, AgentError};
use crate::server::{
    Access, ApiServer, ClusterReviews, HealthCheck, HealthChecks, HealthServer, PodResourcesServer,
    ServerOptions,
};

/// The servers of an agent, bound: their addresses are known, and nobody is answered yet.
#[must_use = "nobody is answered unless the servers run"]
pub struct Servers {
    api: Option<ApiServer<Host>>,
    read_only: Option<ApiServer<Host>>,
    pod_resources: Option<PodResourcesServer<Host>>,
    health: Option<HealthServer>,
}

impl Agent {
    /// Binds the servers that are configured: the API (10250), what can be read by anybody, the
    /// socket of pod resources, and health (10248).
    ///
    /// The node is told of the port that was bound. Answers to kubelet's `ListenAndServe`,
    /// `ListenAndServeReadOnly` and `ListenAndServePodResources`.
    ///
    /// # Errors
    ///
    /// If an address cannot be had. That of the health server is tried again while it runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn bind(&mut self) -> Result<Servers, AgentError> {
        let config = &self.parts.config;
        let host = Arc::new(Host::new(self.parts.clone()));
        let beat = self.loop_health.clone();
        let resync = config.sync_frequency;
        let check = HealthCheck::new("syncloop", move || {
            beat.check(resync).map_err(|stale| stale.to_string())
        });
        let checks = HealthChecks::default().with(check);
        let options = || {
            let mut options = ServerOptions::from_config(config);
            options.health = checks.clone();
            options.metrics = host.http_metrics();
            options.clock = self.parts.clock.clone();
            options
        };
        let api = match config.server {
            Some(address) => {
                let reviews = self
                    .clients
                    .as_ref()
                    .map(|clients| ClusterReviews::new(clients.main.clone()));
                let mut access = Access::from_config(config, reviews.as_ref())?;
                if let Some(token) = &self.options.shared_token {
                    access = access.with_shared_token(token.clone());
                }
                Some(ApiServer::bind(address, options(), access, host.clone()).await?)
            }
            None => None,
        };
        let read_only = match config.read_only_server {
            Some(address) => {
                Some(ApiServer::bind_read_only(address, options(), host.clone()).await?)
            }
            None => None,
        };
        let pod_resources = PodResourcesServer::bind(&config.root_dir, host.clone()).await?;
        let health = config
            .healthz
            .map(|address| HealthServer::new(address, checks.clone()));
        self.facts.port = api.as_ref().map(|api| api.address().port());
        Ok(Servers {
            api,
            read_only,
            pod_resources: Some(pod_resources),
            health,
        })
    }
}

impl Servers {
    /// Where the API is.
    pub fn api(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(ApiServer::address)
    }

    /// Where that is which anybody may read.
    pub fn read_only(&self) -> Option<SocketAddr> {
        self.read_only.as_ref().map(ApiServer::address)
    }

    /// The certificate that clients of the API see.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.api.as_ref().and_then(ApiServer::certificate_pem)
    }

    /// Serves until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all of it at once.
    pub async fn run(self, token: CancellationToken) {
        let mut tasks = JoinSet::new();
        if let Some(api) = self.api {
            tasks.spawn(api.run(token.clone()));
        }
        if let Some(read_only) = self.read_only {
            tasks.spawn(read_only.run(token.clone()));
        }
        if let Some(pod_resources) = self.pod_resources {
            tasks.spawn(pod_resources.run(token.clone()));
        }
        if let Some(health) = self.health {
            tasks.spawn(health.run(token));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a server of the agent has died");
            }
        }
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers")
            .field("api", &self.api())
            .field("read_only", &self.read_only())
            .finish_non_exhaustive()
    }
}
