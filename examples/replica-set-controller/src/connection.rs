//! How the program comes to its cluster.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};

/// A cluster to work on, and how to tell people which one it is.
#[derive(Clone)]
pub struct Connection {
    /// A client of its API server.
    pub client: Client,
    /// The server's URL.
    pub server: String,
    /// The context of the kubeconfig, or `in-cluster`.
    pub context: String,
}

impl Connection {
    /// The cluster that a kubeconfig's context leads to: `context`, or else the current one.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub async fn by_kubeconfig(path: &Path, context: Option<&str>) -> Result<Self> {
        let load = async {
            let kubeconfig = Kubeconfig::read_from(path)?;
            let context = context.map(str::to_owned);
            let context = context.or_else(|| kubeconfig.current_context.clone());
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            Self::new(config, context.unwrap_or_default())
        };
        load.await
            .with_context(|| format!("kubeconfig {}", path.display()))
    }

    /// The cluster whose service account this process has.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn in_cluster() -> Result<Self> {
        let config = Config::incluster().context("this is not a pod of a cluster")?;
        Self::new(config, "in-cluster".to_owned())
    }

    fn new(mut config: Config, context: String) -> Result<Self> {
        // A creation that timed out may have succeeded. Tried again at once it would make a second
        // pod; the next sync of the set counts first.
        config.default_retry = false;
        if is_on_loopback(&config) {
            config.proxy_url = None;
        }
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        Ok(Self {
            client: Client::try_from(config)?,
            server,
            context,
        })
    }
}

/// Whether a server is on this machine: no proxy leads there, whatever the environment says.
fn is_on_loopback(server: &Config) -> bool {
    let host = server.cluster_url.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.server)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
