//! The playground, as a program.
//!
//! What is meant for people and programs goes to standard output; its last line begins with `OK` or
//! `FAILED`. Logs go to standard error. Status 2 means that the command line is wrong, 1 that
//! something failed, 130 that it was interrupted.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use kubewright_cache::ObjectKey;
use kubewright_process_runtime::shim;
use playground::{
    Cluster, ClusterConfig, NAME, NAMESPACE, Program, RootDir, RuntimeChoice, Tour, web,
};
use replica_set_controller::demo::{Display, Stage, View};
use replica_set_controller::program::{Ended, cancel_on_signal, conclude, duration, log, say};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A whole small cluster in one program, and a tour of what it does.
///
/// It starts an API server that kubectl can use, a ReplicaSet controller, a scheduler and a node
/// agent. Pods run as real processes of this machine, without isolation and without root, or as
/// containers of a runtime that is there.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// What runs the containers: `process`, or the endpoint of a CRI v1 runtime, such as
    /// `unix:///run/containerd/containerd.sock`. It usually needs root, and must have no pods.
    #[arg(long, value_name = "RUNTIME", default_value = "process")]
    runtime: Runtime,

    /// What pods run, with another runtime than `process`: an image that it has or can pull.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,

    /// The command that pods run in that image [default: the image's own].
    #[arg(last = true, value_name = "COMMAND", requires = "image")]
    command: Vec<String>,

    /// Keep the cluster running for kubectl after the tour, until Ctrl-C.
    #[arg(long)]
    serve: bool,

    /// Where the API server listens: a loopback address and a port, where port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Where the node agent's own API listens; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    node_listen: SocketAddr,

    /// The port that pods listen at, each at an address of its own; 0 is one that is free.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 8080,
        conflicts_with = "image"
    )]
    pod_port: u16,

    /// Where all files go: a new or an empty directory, emptied again in the end
    /// [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    root_dir: Option<PathBuf>,

    /// How long each step of the tour may take.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    step_deadline: Duration,

    /// What to log on standard error: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, value_name = "FILTER", default_value = "error")]
    log: EnvFilter,
}

/// A [`RuntimeChoice`] as a flag.
#[derive(Clone, Debug)]
struct Runtime(RuntimeChoice);

impl FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "process" => Ok(Self(RuntimeChoice::Process)),
            endpoint if endpoint.starts_with("unix://") => {
                Ok(Self(RuntimeChoice::Endpoint(endpoint.to_owned())))
            }
            _ => Err("it is neither process nor unix:///PATH".to_owned()),
        }
    }
}

fn main() -> ExitCode {
    // This program is also the shim of its containers, and what runs in them.
    shim::main_if_asked();
    web::main_if_asked();
    // Wrong flags end the program here, with status 2.
    let flags = Flags::parse();
    flags.check();
    log(flags.log.clone());
    conclude(run(&flags))
}

fn run(flags: &Flags) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(cancel_on_signal(stop.clone())?);
        show(flags, stop).await
    })
}

/// Shows a cluster, and leaves nothing of it.
async fn show(flags: &Flags, stop: CancellationToken) -> Result<Ended> {
    let root_dir = match &flags.root_dir {
        Some(path) => RootDir::at(path).context("--root-dir")?,
        None => RootDir::temporary()?,
    };
    let mut cluster = Cluster::start(flags.config()?, root_dir).await?;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    say(&format!(
        "a Kubernetes API server, a ReplicaSet controller, a scheduler and a node at {}; try:",
        cluster.url()
    ));
    say(&format!(
        "  kubectl --kubeconfig {kubeconfig} get pods --output wide --watch"
    ));
    let toured = tokio::select! {
        toured = tour(flags, &mut cluster) => toured.map(|()| Ended::Done),
        () = stop.cancelled() => Ok(Ended::Interrupted),
    };
    let ended = match toured {
        Ok(Ended::Done) if flags.serve => {
            suggest(&kubeconfig);
            tokio::select! {
                failed = cluster.failed() => failed.map(|()| Ended::Done),
                () = stop.cancelled() => Ok(Ended::Done),
            }
        }
        ended => ended,
    };
    let stopped = cluster.stop().await;
    let ended = ended?;
    stopped?;
    Ok(ended)
}

/// Takes the tour, and prints its summary.
async fn tour(flags: &Flags, cluster: &mut Cluster) -> Result<()> {
    let set = ObjectKey::namespaced(NAMESPACE, NAME);
    let view = View::new(cluster.client(), set)?;
    let blind = CancellationToken::new();
    let driver = view.driver(blind.clone());
    let display = Display::new(&format!("ReplicaSet {NAME}"));
    let mut tour = Tour::new(Stage::new(view, display, flags.step_deadline), cluster);
    let toured = async {
        let toured = tour.run().await;
        blind.cancel();
        tour.clear();
        toured
    };
    let (seen, toured) = tokio::join!(driver, toured);
    let summary = toured?;
    seen?;
    say(&format!("OK {summary}"));
    Ok(())
}

/// What people may try while the cluster is there.
fn suggest(kubeconfig: &str) {
    let mut notes = io::stderr().lock();
    let lines = [
        "serving until Ctrl-C; try:".to_owned(),
        format!("  export KUBECONFIG={kubeconfig}"),
        "  kubectl get replicasets,pods,nodes,events".to_owned(),
        format!("  kubectl scale replicaset {NAME} --replicas 5"),
        format!("  kubectl logs --follow replicaset/{NAME}"),
        format!("  kubectl exec replicaset/{NAME} -- sh -c 'echo $POD_NAME; ps -o pid,args'"),
        format!("  kubectl port-forward replicaset/{NAME} 8080:http"),
        format!("  kubectl delete pod --selector app={NAME}"),
    ];
    for line in lines {
        let _ = writeln!(notes, "{line}");
    }
}

impl Flags {
    /// Ends the program if flags do not go together.
    fn check(&self) {
        let is_process = self.runtime.0 == RuntimeChoice::Process;
        let wrong = match (is_process, &self.image) {
            (true, Some(_)) => "--image is for --runtime unix:///PATH: processes run this program",
            (false, None) => "--runtime unix:///PATH needs --image: what pods are to run",
            _ => return,
        };
        let mut command = Self::command();
        command.error(ErrorKind::ArgumentConflict, wrong).exit()
    }

    fn config(&self) -> Result<ClusterConfig> {
        let mut config = ClusterConfig::default();
        config.listen = self.listen;
        config.node_listen = self.node_listen;
        config.runtime = self.runtime.0.clone();
        config.program = match &self.image {
            Some(image) => Program::Image {
                image: image.clone(),
                command: self.command.clone(),
            },
            None => Program::Web {
                port: match self.pod_port {
                    0 => free_port().context("no port is free")?,
                    port => port,
                },
            },
        };
        Ok(config)
    }
}

/// A port that nobody has, on all addresses of this machine.
fn free_port() -> io::Result<u16> {
    let any = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(any.local_addr()?.port())
}
