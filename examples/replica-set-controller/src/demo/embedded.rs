use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube_client::Client;
use kubewright_apiserver::controllers::{ControllersConfig, PodRule};
use kubewright_apiserver::serve::{DebugService, Listener, ListenerConfig};
use kubewright_apiserver::{ApiServer, Config as ServerConfig};
use kubewright_clock::Clock;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::assembly::Assembly;
use crate::config::Config;

/// An embedded API server with the ReplicaSet controller: in process for the controller, over
/// HTTPS on loopback for kubectl.
///
/// The kubeconfig lies in a directory of its own, which goes with this value.
pub struct EmbeddedCluster {
    client: Client,
    url: String,
    kubeconfig: PathBuf,
    // Declared after what uses it, so that it is removed last.
    _directory: TempDir,
    tasks: JoinSet<Result<()>>,
    stop: CancellationToken,
}

impl EmbeddedCluster {
    /// Starts the server, what a cluster does beside its API, and the controller.
    ///
    /// # Errors
    ///
    /// When no port can be bound or the kubeconfig cannot be written.
    pub async fn start(config: Config) -> Result<Self> {
        let server = ApiServer::new(ServerConfig::default())?;
        let listener = Listener::bind(ListenerConfig::default())
            .await
            .context("the API server cannot listen on loopback")?;
        let directory = tempfile::Builder::new()
            .prefix("kubewright-")
            .tempdir()
            .context("no temporary directory can be made")?;
        let kubeconfig = directory.path().join("kubeconfig");
        listener.kubeconfig().write(&kubeconfig)?;

        let url = listener.url().to_owned();
        let client = Client::new(server.service(), "default");
        let stop = CancellationToken::new();
        let controllers = server.controllers(pods_that_take_their_time(&listener));
        let controller = Assembly::new(&client, config, Clock::system())?;
        let mut tasks = JoinSet::new();
        let (token, served) = (stop.clone(), stop.clone());
        tasks.spawn(async move {
            controllers.run(token).await;
            Ok(())
        });
        tasks.spawn(async move {
            listener.serve(DebugService::new(server), served).await;
            Ok(())
        });
        let token = stop.clone();
        tasks.spawn(async move { Ok(controller.run(token).await?) });
        Ok(Self {
            client,
            url,
            kubeconfig,
            _directory: directory,
            tasks,
            stop,
        })
    }

    /// A client of the server, in process.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Where other processes find the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The kubeconfig with which they may use it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Waits until a part of it ends, which none does before it is told to.
    ///
    /// # Errors
    ///
    /// Always: what ended, or why.
    pub async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the cluster panicked")??,
            None => std::future::pending().await,
        }
        anyhow::bail!("a part of the cluster ended by itself")
    }

    /// Stops everything, waits for it, and removes the kubeconfig.
    ///
    /// # Errors
    ///
    /// What a part of it ended with.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a part of the cluster panicked")??;
        }
        Ok(())
    }
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedCluster")
            .field("url", &self.url)
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

/// Pods that do not all become ready at the same moment, as real ones do not.
fn pods_that_take_their_time(listener: &Listener) -> ControllersConfig {
    let mut config = ControllersConfig::default();
    let authority = listener.certificate_authority().unwrap_or_default();
    authority.clone_into(&mut config.certificate_authority);
    config.pods.script.run_after = Some(Duration::from_millis(200));
    config.pods.script.stop_after = Duration::from_millis(400);
    config.pods.rule = Some(PodRule::new(|pod, script| {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let spread: u64 = name.bytes().map(u64::from).sum::<u64>() % 8;
        script.ready_after = Some(Duration::from_millis(200 + 100 * spread));
    }));
    config
}
