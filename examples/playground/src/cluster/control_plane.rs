use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kube_client::Client;
use kubewright_apiserver::controllers::{Controller, ControllersConfig};
use kubewright_apiserver::serve::{
    DebugService, Listener, ListenerConfig, NodeProxy, NodeProxyConfig, NodeTransport, Token,
};
use kubewright_apiserver::{ApiServer, Config};
use kubewright_clock::Clock;
use replica_set_controller::Assembly;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::scheduler::Scheduler;

/// An API server that is bound and does not serve yet.
///
/// By then a node can be given its address, and by the time it serves it has to know the node.
pub(super) struct Prepared {
    server: ApiServer,
    listener: Listener,
    kubeconfig: PathBuf,
    node_token: Token,
}

/// The API server, with the controllers and the scheduler on it.
pub(super) struct ControlPlane {
    client: Client,
    url: String,
    kubeconfig: PathBuf,
    tasks: JoinSet<Result<()>>,
    stop: CancellationToken,
}

impl ControlPlane {
    /// Binds the address, and writes the kubeconfig.
    pub(super) async fn prepare(listen: SocketAddr, root_dir: &Path) -> Result<Prepared> {
        let server = ApiServer::new(Config::default())?;
        let mut config = ListenerConfig::default();
        config.address = listen;
        // Pods may speak to the server with the tokens of their service accounts.
        config.service_accounts = Some(server.clone());
        let listener = Listener::bind(config)
            .await
            .context("the API server cannot listen")?;
        let kubeconfig = root_dir.join("kubeconfig");
        listener.kubeconfig().write(&kubeconfig)?;
        Ok(Prepared {
            server,
            listener,
            kubeconfig,
            node_token: Token::random()?,
        })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Waits until a part of it ends by itself.
    pub(super) async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the control plane panicked")??,
            None => std::future::pending().await,
        }
        anyhow::bail!("a part of the control plane ended by itself")
    }

    /// Stops all of it, and waits for that.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        let mut all = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.context("a part of the control plane panicked");
            all = all.and(ended.and_then(|ended| ended));
        }
        all
    }
}

impl Prepared {
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The token by which the server shows nodes that it is the server.
    pub(super) const fn node_token(&self) -> &Token {
        &self.node_token
    }

    /// Starts the server, and what works on it. `node_certificate` is what nodes show the server.
    pub(super) fn start(self, node_certificate: &str) -> Result<ControlPlane> {
        let Self {
            server,
            listener,
            kubeconfig,
            node_token,
        } = self;
        let mut config = ControllersConfig::default();
        // Nobody plays pods here: the node agent runs them.
        config.enabled.remove(&Controller::Pods);
        let authority = listener.certificate_authority().unwrap_or_default();
        authority.clone_into(&mut config.certificate_authority);
        let controllers = server.controllers(config);

        let mut proxy = NodeProxyConfig::new(NodeTransport::Https {
            certificate_authority: node_certificate.to_owned(),
        });
        proxy.token = Some(node_token);
        let service = NodeProxy::new(DebugService::new(server), proxy)?;
        let client = Client::new(service.clone(), "default");
        let replica_sets = Assembly::new(
            &client,
            replica_set_controller::Config::default(),
            Clock::system(),
        )?;
        let scheduler = Scheduler::new(&client, Clock::system())?;

        let url = listener.url().to_owned();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let token = stop.clone();
        tasks.spawn(async move {
            listener.serve(service, token).await;
            Ok(())
        });
        let token = stop.clone();
        tasks.spawn(async move {
            controllers.run(token).await;
            Ok(())
        });
        let token = stop.clone();
        tasks.spawn(async move { Ok(replica_sets.run(token).await?) });
        let token = stop.clone();
        tasks.spawn(async move { Ok(scheduler.run(token).await?) });
        Ok(ControlPlane {
            client,
            url,
            kubeconfig,
            tasks,
            stop,
        })
    }
}
