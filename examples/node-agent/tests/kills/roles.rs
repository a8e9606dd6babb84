//! What this program is when it is not the tests.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use kubewright_cri::{Endpoint, Server, bind, serve};
use kubewright_process_runtime::{Options, ProcessRuntime};
use node_agent::agent::{Agent, Dependencies};
use node_agent::config::{Flags, RuntimeKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::assembly;

/// The first argument of an agent.
pub(crate) const AGENT: &str = "agent-role";

/// The first argument of a runtime.
pub(crate) const RUNTIME: &str = "runtime-role";

/// The token that the API server shows to agents.
pub(crate) const TOKEN: &str = "shared-by-agent-and-server";

/// The node agent, but for its times and that its runtime isolates nothing.
#[derive(Debug, Parser)]
struct AgentArguments {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Parser)]
struct RuntimeArguments {
    #[arg(long)]
    root_dir: PathBuf,
    #[arg(long)]
    listen: Endpoint,
}

/// Takes a role on if one was asked for, and does not return then.
pub(crate) fn main_if_asked() {
    let mut arguments = env::args_os().skip(1).peekable();
    let role = arguments.peek().and_then(|role| role.to_str());
    let ended = match role {
        Some(AGENT) => {
            let arguments = AgentArguments::parse_from(arguments);
            run(agent(arguments.flags))
        }
        Some(RUNTIME) => {
            // It is also the shim of its containers, which are started under another name.
            kubewright_process_runtime::shim::main_if_asked();
            run(runtime(RuntimeArguments::parse_from(arguments)))
        }
        _ => return,
    };
    if let Err(error) = ended {
        eprintln!("{error:#}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

fn run(role: impl Future<Output = Result<()>>) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(role)
}

async fn agent(flags: Flags) -> Result<()> {
    let mut config = flags.config()?;
    // What a file may not say: any port, and times that are only for tests.
    config
        .server
        .as_mut()
        .context("its API is served")?
        .set_port(0);
    config.healthz = None;
    config.container_log_monitor_interval = Duration::from_millis(100);
    let (runtime, images) = Dependencies::connect(&config).await?;
    // Behind the socket is a runtime without isolation.
    config.runtime = RuntimeKind::Process;
    let mut options = assembly::options(TOKEN)?;
    options.pleg.relist_period = Duration::from_millis(300);
    let dependencies = Dependencies::gather(&config, &options, runtime, images).await?;
    let mut agent = Agent::new(config, options, dependencies)?;
    let servers = agent.bind().await?;
    let address: SocketAddr = servers.api().context("its API is served")?;
    tracing::info!(%address, "the agent runs");
    agent.birth_cry();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let stop_of_servers = stop.clone();
    tasks.spawn(async move {
        if let Err(error) = servers.run(stop_of_servers).await {
            tracing::error!(%error, "the agent has lost its API");
        }
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let stop_of_signal = stop.clone();
    tasks.spawn(async move {
        terminate.recv().await;
        stop_of_signal.cancel();
    });
    agent.run(stop).await?;
    tasks.shutdown().await;
    Ok(())
}

async fn runtime(arguments: RuntimeArguments) -> Result<()> {
    let runtime = ProcessRuntime::open(Options::new(arguments.root_dir)).await?;
    let listener = bind(&arguments.listen).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = serve(listener, Server::new(runtime.clone())) => {}
        _ = terminate.recv() => {}
    }
    Ok(runtime.shutdown().await?)
}
