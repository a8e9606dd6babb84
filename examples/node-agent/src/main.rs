//! The node agent, as a program.
//!
//! Status 0 means that it was told to stop and did, or ran its pods once; 2 that the command line or
//! the configuration is wrong; 1 that something else failed.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use kubewright_cri::Runtime;
use kubewright_process_runtime::{ImageRecord, Options, ProcessRuntime, shim};
use node_agent::agent::{Agent, AgentOptions, Dependencies};
use node_agent::config::{Config, Flags, RuntimeKind};
use node_agent::node::Loopback;
use node_agent::systemd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A small but real kubelet: runs the pods of one node on a container runtime over CRI.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,

    /// With --runtime process: an image of a directory, NAME=DIR. May be repeated.
    #[arg(long, value_name = "NAME=DIR", value_parser = image)]
    image: Vec<ImageRecord>,

    /// What to log on standard error: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: EnvFilter,
}

/// How long threads for work on files are kept that have nothing to do.
///
/// Pods come in crowds, and each takes a thread for a moment. Those that are left take turns at what
/// there is to do, so that with tokio's 10 s none would ever end.
const IDLE_THREADS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // This program is also the shim of the containers of its process runtime.
    shim::main_if_asked();
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(arguments.log)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let config = match arguments.flags.config() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{:#}", anyhow::Error::new(error));
            return ExitCode::from(2);
        }
    };
    if config.runtime != RuntimeKind::Process && !arguments.image.is_empty() {
        tracing::error!("--image is for --runtime process: other runtimes have their own images");
        return ExitCode::from(2);
    }
    match run(config, arguments.image) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config, images: Vec<ImageRecord>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREADS)
        .build()
        .context("no threads can be started")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(cancel_on_signal(stop.clone())?);
        match config.runtime {
            RuntimeKind::Cri => {
                let (runtime, images) = Dependencies::connect(&config).await?;
                serve(config, runtime, images, stop).await
            }
            RuntimeKind::Process => {
                let mut options = Options::new(config.root_dir.join("process-runtime"));
                options.images = images;
                let processes = ProcessRuntime::open(options).await?;
                let runtime = Runtime::in_process(processes.clone());
                match serve(config, runtime.clone(), runtime, stop).await {
                    // Its containers are this program's, and go with it.
                    Ok(()) => Ok(processes.shutdown().await?),
                    // One that fails leaves them to the next, as one does that is killed.
                    Err(error) => {
                        processes.close().await;
                        Err(error)
                    }
                }
            }
        }
    })
}

/// Serves a node until the token is cancelled.
async fn serve(
    config: Config,
    runtime: Runtime,
    images: Runtime,
    stop: CancellationToken,
) -> Result<()> {
    let mut options = AgentOptions::default();
    let is_development = config.runtime == RuntimeKind::Process;
    if is_development {
        // Its pods are on loopback addresses, and the node may be.
        options.loopback = Loopback::Allowed;
    }
    let run_once = config.run_once;
    let mut dependencies = Dependencies::gather(&config, &options, runtime, images).await?;
    if !is_development {
        dependencies.container_logs_dir = Some("/var/log/containers".into());
    }
    let mut agent = Agent::new(config, options, dependencies)?;
    if run_once {
        agent.run_once().await?;
        return Ok(());
    }
    let servers = agent.bind().await?;
    agent.birth_cry();
    if let Err(error) = systemd::notify_ready() {
        tracing::warn!(%error, "systemd is not told that the agent has started");
    }
    let agent_ended = CancellationToken::new();
    let running = Box::pin(async {
        agent.run(stop).await?;
        agent_ended.cancel();
        Ok(())
    });
    // Whichever fails takes the other along.
    tokio::try_join!(running, servers.run(agent_ended.clone()))?;
    Ok(())
}

/// Cancels the token when the program is asked to end.
fn cancel_on_signal(stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
        stop.cancel();
    })
}

/// An image that the command line names.
fn image(text: &str) -> Result<ImageRecord, String> {
    let (name, directory) = text.split_once('=').ok_or("it is not NAME=DIR")?;
    ImageRecord::from_directory(name, directory.as_ref()).map_err(|error| error.to_string())
}
