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

    /// Serves until the token is cancelled. A node that is being shut down is asked about until the
    /// end, so that this is to be one that is cancelled after the agent has ended.
    ///
    /// # Errors
    ///
    /// A server has died. The others have stopped then: an agent is not to go on without its API as
    /// if all were well.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all of it at once.
    pub async fn run(self, token: CancellationToken) -> Result<(), AgentError> {
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
        all(tasks).await
    }
}

/// Waits for all servers, or for the first that dies, which stops the others.
async fn all(mut servers: JoinSet<()>) -> Result<(), AgentError> {
    while let Some(ended) = servers.join_next().await {
        if let Err(error) = ended {
            servers.shutdown().await;
            return Err(AgentError::Died(error));
        }
    }
    Ok(())
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers")
            .field("api", &self.api())
            .field("read_only", &self.read_only())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_server_that_dies_is_told_of_and_stops_the_others() {
        let mut servers = JoinSet::new();
        servers.spawn(async {});
        assert!(all(servers).await.is_ok());

        let other = Arc::new(());
        let mut servers = JoinSet::new();
        let held = other.clone();
        servers.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        servers.spawn(async { panic!("as the test says") });
        let died = all(servers).await.unwrap_err();
        assert!(matches!(died, AgentError::Died(error) if error.is_panic()));
        assert_eq!(Arc::strong_count(&other), 1, "the other one has stopped");
    }
}
