//! An embedded Kubernetes API server, as a program.
//!
//! The first line on standard output is the URL that it is bound to; everything meant for people
//! goes to standard error. SIGTERM and SIGINT end it with status 0, open watches included.
//! Status 2 means that the command line is wrong, 1 that something else failed.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jiff::SignedDuration;
use kubewright_apiserver::controllers::{Controller, ControllersConfig};
use kubewright_apiserver::serve::{
    Authentication, DebugService, Listener, ListenerConfig, Token, Transport,
};
use kubewright_apiserver::{ApiServer, Config};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// An embedded Kubernetes API server for development and tests.
///
/// It keeps everything in memory and listens on loopback only. The first line on standard output
/// is the URL that clients use. POST /debug/compact?revision=N forgets history up to a resource
/// version, POST /debug/bookmarks sends a bookmark to every watch, and POST /debug/drop-watches
/// ends them all.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
struct Flags {
    /// Address to listen on: a loopback address and a port, where port 0 takes any free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6443", value_parser = loopback)]
    listen: SocketAddr,

    /// Bearer token that clients must send [default: a random one, or none with --http].
    ///
    /// Other users of this machine can see it in the list of processes while the server runs.
    #[arg(long, value_name = "T")]
    token: Option<Token>,

    /// Write a kubeconfig for this server, readable by its owner only.
    ///
    /// A file that an earlier start wrote there is replaced in one step, any other is left alone.
    #[arg(long, value_name = "PATH")]
    write_kubeconfig: Option<PathBuf>,

    /// Serve plain HTTP instead of HTTPS.
    ///
    /// kubectl sends no token over plain HTTP: without --token none is asked for, and anyone on
    /// this machine may use the server.
    #[arg(long)]
    http: bool,

    /// Controllers that do not run: gc, namespaces, pods, separated by commas.
    ///
    /// gc deletes objects whose owners are gone; namespaces empties namespaces that are deleted,
    /// and gives all others their default service account; pods assigns pods to nodes that exist
    /// in name only, and lets them run, become ready and end.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    disable: Vec<Controller>,

    /// How long a pod takes from running until it is ready, such as 500ms or "1m 30s".
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    pod_ready_after: Duration,

    /// Names of the nodes that pods are assigned to, separated by commas.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "node-1,node-2,node-3"
    )]
    pod_nodes: Vec<String>,

    /// What to log on standard error: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: EnvFilter,
}

fn main() -> ExitCode {
    // Wrong flags end the program here, with status 2.
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("kubewright-apiserver: {error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                text.push_str(&format!(": {next}"));
                cause = next.source();
            }
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(flags: &Flags) -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_env_filter(flags.log.clone())
        .with_writer(io::stderr)
        .init();
    // From here on signals are caught, so that none that comes during the start is lost.
    let stop = CancellationToken::new();
    let signal = signal()?;

    let server = ApiServer::new(Config::default())?;
    let listener = Listener::bind(flags.listener(&server)).await?;
    let kubeconfig = listener.kubeconfig();
    if let Some(path) = &flags.write_kubeconfig {
        kubeconfig.write(path)?;
    }
    // Whoever reads this line finds the kubeconfig in its place.
    announce(&listener, flags)?;

    let controllers = server.controllers(flags.controllers(&listener));
    let mut tasks = JoinSet::new();
    tasks.spawn(controllers.run(stop.clone()));
    tasks.spawn(listener.serve(DebugService::new(server), stop.clone()));
    let ended = tokio::select! {
        // Neither ends before it is told to, unless it panics.
        ended = tasks.join_next() => ended,
        () = signal => None,
    };
    stop.cancel();
    ended.transpose()?;
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

fn announce(listener: &Listener, flags: &Flags) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", listener.url())?;
    out.flush()?;
    let mut notes = io::stderr().lock();
    match (&flags.write_kubeconfig, listener.token()) {
        (Some(path), _) => writeln!(
            notes,
            "try: kubectl --kubeconfig {} get namespaces",
            path.display()
        ),
        (None, Some(token)) if flags.token.is_none() => {
            writeln!(notes, "bearer token: {}", token.secret())
        }
        (None, Some(_)) => Ok(()),
        (None, None) => writeln!(
            notes,
            "try: kubectl --server {} get namespaces",
            listener.url()
        ),
    }
}

impl Flags {
    fn listener(&self, server: &ApiServer) -> ListenerConfig {
        let mut config = ListenerConfig::default();
        config.service_accounts = Some(server.clone());
        config.address = self.listen;
        if self.http {
            config.transport = Transport::Http;
        }
        config.authentication = match &self.token {
            Some(token) => Authentication::Token(token.clone()),
            None if self.http => Authentication::Anyone,
            None => Authentication::RandomToken,
        };
        config
    }

    fn controllers(&self, listener: &Listener) -> ControllersConfig {
        let mut config = ControllersConfig::default();
        config
            .enabled
            .retain(|controller| !self.disable.contains(controller));
        config.pods.nodes.clone_from(&self.pod_nodes);
        config.pods.script.ready_after = Some(self.pod_ready_after);
        let authority = listener.certificate_authority().unwrap_or_default();
        authority.clone_into(&mut config.certificate_authority);
        config
    }
}

/// Resolves when the program is asked to end.
#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves when the program is asked to end.
#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a way to be asked, it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Reads `127.0.0.1:6443`, `[::1]:0` or `localhost:0`.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .ok(),
        None => text.parse().ok(),
    };
    match address {
        None => {
            Err("an address is written 127.0.0.1:6443, [::1]:6443 or localhost:6443".to_owned())
        }
        Some(address) if !address.ip().is_loopback() => Err(format!(
            "{} is not a loopback address, and this server is for development: \
             use 127.0.0.1, [::1] or localhost",
            address.ip()
        )),
        Some(address) => Ok(address),
    }
}

/// Reads `500ms`, `2s` or `1m 30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(duration).map_err(|_| "time does not run backwards".to_owned())
}
