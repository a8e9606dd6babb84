//! What agents and API servers of tests with real processes are made of.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kubewright_apiserver::controllers::{Controller, Controllers, ControllersConfig};
use kubewright_apiserver::serve::{NodeProxy, NodeProxyConfig, NodeTransport};
use kubewright_apiserver::{ApiServer, ApiService};
use node_agent::agent::AgentOptions;
use node_agent::node::Loopback;
use tokio::time::Instant;

/// The options of an agent that does soon what others do in a while. `token` is what API servers
/// show it.
pub(crate) fn options(token: &str) -> Result<AgentOptions> {
    let mut options = AgentOptions::default();
    options.retry_delay = Duration::from_millis(500);
    options.initial_restart_delay = Duration::from_millis(200);
    options.container_gc_period = Duration::from_secs(1);
    options.runtime_period = Duration::from_secs(1);
    options.object_ttl = Duration::from_millis(500);
    options.sync_loop.sync_period = Duration::from_millis(100);
    options.sync_loop.housekeeping_period = Duration::from_millis(500);
    options.loopback = Loopback::Allowed;
    options.shared_token = Some(token.parse()?);
    Ok(options)
}

/// An API server that reaches its node, whose certificate is `authority`, and what works on it:
/// nobody plays pods.
pub(crate) fn control_plane(
    server: &ApiServer,
    authority: String,
    token: &str,
) -> Result<(NodeProxy<ApiService>, Controllers)> {
    let mut proxy = NodeProxyConfig::new(NodeTransport::Https {
        certificate_authority: authority,
    });
    proxy.token = Some(token.parse()?);
    let service = NodeProxy::new(server.service(), proxy)?;
    let mut controllers = ControllersConfig::default();
    controllers.enabled = BTreeSet::from([Controller::GarbageCollector, Controller::Namespaces]);
    Ok((service, server.controllers(controllers)))
}

/// How a client reaches the API server that a kubeconfig names.
pub(crate) async fn client_config(kubeconfig: &Path) -> Result<kube_client::Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = kube_client::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    // The environment may name one, which is not for this machine.
    config.proxy_url = None;
    Ok(config)
}

/// Asks again and again until there is an answer. For what cannot be watched.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    ask: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while Instant::now() < deadline {
        ticks.tick().await;
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
    }
    bail!("not seen within {limit:?}: {what}")
}
