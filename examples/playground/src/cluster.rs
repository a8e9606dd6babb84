//! All parts of a cluster, in this process.

mod borrowed;
mod control_plane;
mod drain;
mod node;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use kube_client::Client;
use kubewright_cri::Runtime;

use self::control_plane::ControlPlane;
use self::drain::drain;
use self::node::{Node, NodeSettings};
use crate::root_dir::RootDir;
use crate::workload::Program;

/// What a cluster is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// Where the API server listens. Default: any port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Where the node agent's API listens. Default: any port of 127.0.0.1.
    pub node_listen: SocketAddr,
    /// What runs the containers. Default: processes.
    pub runtime: RuntimeChoice,
    /// What the pods run. Default: the web server, at port 8080.
    pub program: Program,
    /// The program that shims and web servers are. Default: this one.
    pub executable: Option<PathBuf>,
}

/// What runs the containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// The process runtime, in this process.
    Process,
    /// A CRI v1 runtime that is there already, by its endpoint. It must not have any pods.
    Endpoint(String),
}

/// An API server with a ReplicaSet controller, a scheduler and one node.
pub struct Cluster {
    config: ClusterConfig,
    control_plane: ControlPlane,
    node: Node,
    root_dir: RootDir,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any,
            node_listen: any,
            runtime: RuntimeChoice::Process,
            program: Program::Web { port: 8080 },
            executable: None,
        }
    }
}

impl Cluster {
    /// Starts everything, with all files under a directory.
    ///
    /// # Errors
    ///
    /// A port, a file or the runtime cannot be had. Nothing is left of it then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops what has been started; files may stay in the directory.
    pub async fn start(config: ClusterConfig, root_dir: RootDir) -> Result<Self> {
        match start(&config, root_dir.path()).await {
            Ok((control_plane, node)) => Ok(Self {
                config,
                control_plane,
                node,
                root_dir,
            }),
            Err(error) => Err(first(error, root_dir.remove())),
        }
    }

    /// A client of the API server, in process; the node answers through it as well.
    pub const fn client(&self) -> &Client {
        self.control_plane.client()
    }

    /// Where other processes find the API server.
    pub fn url(&self) -> &str {
        self.control_plane.url()
    }

    /// The kubeconfig with which they may use it.
    pub fn kubeconfig(&self) -> &Path {
        self.control_plane.kubeconfig()
    }

    /// What the pods run.
    pub const fn program(&self) -> &Program {
        &self.config.program
    }

    /// What runs the containers.
    pub const fn runtime(&self) -> &Runtime {
        self.node.runtime()
    }

    /// The name of the node.
    pub const fn node_name(&self) -> &'static str {
        node::NAME
    }

    /// Stops the node agent, and the process runtime if that is what runs the containers.
    ///
    /// The containers run on.
    ///
    /// # Errors
    ///
    /// The agent ended badly.
    pub async fn stop_agent(&mut self) -> Result<()> {
        self.node.stop().await
    }

    /// Starts the node agent anew, after it was stopped.
    ///
    /// # Errors
    ///
    /// As when the cluster is started.
    pub async fn start_agent(&mut self) -> Result<()> {
        self.node.start_again().await
    }

    /// Waits until a part of it ends, which none does before it is told to.
    ///
    /// # Errors
    ///
    /// Always: what ended, or why.
    pub async fn failed(&mut self) -> Result<()> {
        tokio::select! {
            failed = self.control_plane.failed() => failed,
            failed = self.node.failed() => failed,
        }
    }

    /// Ends all pods, stops everything, and removes every file.
    ///
    /// # Errors
    ///
    /// What did not end well. The rest has been stopped.
    pub async fn stop(self) -> Result<()> {
        let Self {
            config,
            control_plane,
            mut node,
            root_dir,
        } = self;
        // What runs in a runtime that is not ours is ended by those who know of it.
        let drained = match config.runtime {
            RuntimeChoice::Process => Ok(()),
            RuntimeChoice::Endpoint(_) => match node.start_again().await {
                Ok(()) => drain(control_plane.client()).await,
                failed => failed,
            },
        };
        let ended = node.end().await;
        let controlled = control_plane.stop().await;
        let removed = root_dir.remove();
        drained.and(ended).and(controlled).and(removed)
    }
}

async fn start(config: &ClusterConfig, root_dir: &Path) -> Result<(ControlPlane, Node)> {
    let prepared = ControlPlane::prepare(config.listen, root_dir).await?;
    let settings = NodeSettings {
        root_dir: root_dir.to_owned(),
        kubeconfig: prepared.kubeconfig().to_owned(),
        listen: config.node_listen,
        token: prepared.node_token().clone(),
        runtime: config.runtime.clone(),
        executable: config.executable.clone(),
    };
    let mut node = Node::start(settings).await?;
    // The node's connections wait until the server serves.
    match prepared.start(node.certificate()) {
        Ok(control_plane) => Ok((control_plane, node)),
        Err(error) => Err(first(error, node.end().await)),
    }
}

/// What went wrong first. That cleaning up after it went wrong as well is told in the log.
fn first(error: anyhow::Error, cleaned: Result<()>) -> anyhow::Error {
    if let Err(left) = cleaned {
        tracing::error!("something is left: {left:#}");
    }
    error
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("config", &self.config)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
