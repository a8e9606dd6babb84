//! Clients that others wrote, on the server in process: kube-client's `Api`, and kube-runtime's
//! watcher, reflector and controller.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "peers/client.rs"]
mod client;
#[path = "peers/runtime.rs"]
mod runtime;

use kube_client::Client;
use kubewright_apiserver::controllers::ControllersConfig;
use kubewright_apiserver::{ApiServer, Config};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A server with its controllers at work, and a client of it.
struct Cluster {
    server: ApiServer,
    client: Client,
    /// The controllers, which end with the test.
    _controllers: JoinSet<()>,
}

impl Cluster {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let server = ApiServer::new(config).unwrap();
        let client = Client::new(server.service(), "default");
        let controllers = server.controllers(ControllersConfig::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(controllers.run(CancellationToken::new()));
        Self {
            server,
            client,
            _controllers: tasks,
        }
    }
}
