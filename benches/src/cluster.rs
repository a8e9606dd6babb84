use std::path::Path;

use anyhow::{Context as _, Result};
use kube_client::Config;
use kube_client::config::{KubeConfigOptions, Kubeconfig};

use crate::Process;

/// An embedded API server in a process of its own, whose pods have no life but what others give
/// them. It goes with this value.
#[derive(Debug)]
pub struct Cluster {
    /// How clients in this process reach it.
    pub config: Config,
    /// Where the kubeconfig for other processes is.
    pub kubeconfig: String,
    _server: Process,
}

impl Cluster {
    /// Starts the server that is among `programs`, with its kubeconfig in `directory`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start(programs: &Path, directory: &Path) -> Result<Self> {
        let kubeconfig = directory.join("kubeconfig");
        let kubeconfig = kubeconfig.to_str().context("the path is not UTF-8")?;
        let mut server = Process::spawn(
            &programs.join("kubewright-apiserver"),
            &[
                "--listen",
                "127.0.0.1:0",
                "--disable",
                "pods",
                "--write-kubeconfig",
                kubeconfig,
            ],
        )?;
        // It speaks when it listens.
        server.line().await?;
        Ok(Self {
            config: client_config(Kubeconfig::read_from(kubeconfig)?).await?,
            kubeconfig: kubeconfig.to_owned(),
            _server: server,
        })
    }
}

/// How a client reaches the server of this machine that a kubeconfig names.
///
/// # Errors
///
/// When the kubeconfig names none.
pub async fn client_config(kubeconfig: Kubeconfig) -> Result<Config> {
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    // The environment may name one, which is not for this machine.
    config.proxy_url = None;
    Ok(config)
}
