//! The process runtime, as a program.
//!
//! It listens until SIGTERM or SIGINT, and then ends all containers and removes every file.
//! Logs go to standard error. Status 2 means that the command line is wrong, 1 that something else
//! failed.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use kubewright_cri::{Endpoint, Server, bind, serve};
use kubewright_process_runtime::{AddressRange, ImageRecord, Options, ProcessRuntime, shim};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A container runtime (CRI v1) that runs containers as processes of this host.
///
/// WITHOUT ANY ISOLATION: for development and tests only.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Where everything is kept that is written; made if it is not there.
    #[arg(long, value_name = "DIR")]
    root_dir: PathBuf,

    /// Where to listen.
    #[arg(long, value_name = "unix:///PATH")]
    listen: Endpoint,

    /// An image beside `host`: a name, and a directory that may hold an image.json. Repeatable.
    #[arg(long, value_name = "NAME=DIR", value_parser = image)]
    image: Vec<ImageRecord>,

    /// The addresses of pods, of 127.0.0.0/8 [default: some that follow from the root directory].
    #[arg(long, value_name = "CIDR")]
    addresses: Option<AddressRange>,
}

fn main() -> Result<()> {
    shim::main_if_asked();
    let flags = Flags::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(flags))
}

async fn run(flags: Flags) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut options = Options::new(flags.root_dir);
    options.images = flags.image;
    options.addresses = flags.addresses;
    let runtime = ProcessRuntime::open(options).await?;
    let listener = bind(&flags.listen)
        .await
        .with_context(|| format!("cannot listen at {}", flags.listen))?;
    tracing::info!(endpoint = %flags.listen, "listening");
    tokio::select! {
        () = serve(listener, Server::new(runtime.clone())) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    runtime.shutdown().await?;
    match std::fs::remove_file(flags.listen.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn image(text: &str) -> Result<ImageRecord, String> {
    let (name, directory) = text.split_once('=').ok_or("write it as NAME=DIR")?;
    ImageRecord::from_directory(name, directory.as_ref()).map_err(|error| error.to_string())
}
