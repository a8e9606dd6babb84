//! The ReplicaSet controller, as a program.
//!
//! By itself it brings a cluster of its own and shows the controller at work on it. With
//! `--kubeconfig` or `--in-cluster` it is a controller and nothing else.
//!
//! What is meant for people and programs goes to standard output; its last line begins with `OK`
//! or `FAILED`. Logs go to standard error. Status 2 means that the command line is wrong, 1 that
//! something else failed.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{ArgGroup, Parser};
use kubewright_cache::ObjectKey;
use kubewright_clock::Clock;
use replica_set_controller::connection::Connection;
use replica_set_controller::demo::{
    Display, EmbeddedCluster, NAMESPACE, SAMPLE, Stage, Tour, View,
};
use replica_set_controller::program::{Ended, cancel_on_signal, conclude, duration, log, say};
use replica_set_controller::{Assembly, Config, FeatureGates};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The apps/v1 ReplicaSet controller of Kubernetes 1.36, written with kubewright.
///
/// Without --kubeconfig or --in-cluster it starts an API server of its own, which kubectl can
/// use as well, and shows the controller at work on a ReplicaSet of ten pods.
#[derive(Debug, Parser)]
#[command(version, group = ArgGroup::new("cluster"))]
struct Flags {
    /// Control the ReplicaSets of the cluster that this kubeconfig leads to.
    #[arg(long, value_name = "PATH", group = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use [default: the current one].
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,

    /// Control the ReplicaSets of the cluster that this process runs in.
    #[arg(long, group = "cluster")]
    in_cluster: bool,

    /// Keep the embedded cluster running for kubectl after the tour, until Ctrl-C.
    #[arg(long, conflicts_with = "cluster")]
    serve: bool,

    /// How long each step of the tour may take.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, conflicts_with = "cluster")]
    step_deadline: Duration,

    /// How many ReplicaSets are synced at the same time.
    #[arg(long, value_name = "N", default_value_t = Config::default().workers)]
    concurrent_replicaset_syncs: NonZeroUsize,

    /// Feature gates, such as PodDeletionCost=false,LogarithmicScaleDown=true.
    #[arg(long, value_name = "GATES", default_value_t)]
    feature_gates: FeatureGates,

    /// What to log on standard error: a level, or levels by module as in `RUST_LOG`.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: EnvFilter,
}

fn main() -> ExitCode {
    // Wrong flags end the program here, with status 2.
    let flags = Flags::parse();
    conclude(run(&flags))
}

fn run(flags: &Flags) -> Result<Ended> {
    log(flags.log.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut signals = JoinSet::new();
        signals.spawn(cancel_on_signal(stop.clone())?);
        match flags.connection().await? {
            Some(connection) => control(connection, flags.config(), stop).await,
            None => show(flags, stop).await,
        }
    })
}

/// Controls the ReplicaSets of a cluster until it is told to stop.
async fn control(cluster: Connection, config: Config, stop: CancellationToken) -> Result<Ended> {
    let Connection {
        client,
        server,
        context,
    } = cluster;
    say(&format!(
        "controlling the ReplicaSets of {server} (context {context})"
    ));
    say(
        "kube-controller-manager's own ReplicaSet controller must be off there: \
         --controllers=*,-replicaset-controller",
    );
    let controller = Assembly::new(&client, config, Clock::system())?;
    let metrics = controller.logic().metrics().clone();
    controller.run(stop).await?;
    tracing::info!("stopped\n{metrics}");
    Ok(Ended::Done)
}

/// Shows the controller at work on a cluster of its own.
async fn show(flags: &Flags, stop: CancellationToken) -> Result<Ended> {
    let mut cluster = EmbeddedCluster::start(flags.config()).await?;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    say(&format!(
        "an embedded Kubernetes API server at {}; try:",
        cluster.url()
    ));
    say(&format!(
        "  kubectl --kubeconfig {kubeconfig} get replicasets,pods"
    ));
    let ended = tokio::select! {
        toured = tour(flags, &cluster) => toured.map(|()| Ended::Done),
        () = stop.cancelled() => Ok(Ended::Interrupted),
    };
    let ended = match ended {
        Ok(Ended::Done) if flags.serve => {
            let _ = writeln!(io::stderr(), "serving until Ctrl-C");
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
async fn tour(flags: &Flags, cluster: &EmbeddedCluster) -> Result<()> {
    let view = View::new(cluster.client(), ObjectKey::namespaced(NAMESPACE, SAMPLE))?;
    let blind = CancellationToken::new();
    let driver = view.driver(blind.clone());
    let display = Display::new(&format!("ReplicaSet {SAMPLE}"));
    let mut tour = Tour::new(Stage::new(view, display, flags.step_deadline));
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

impl Flags {
    fn config(&self) -> Config {
        let mut config = Config::default();
        config.workers = self.concurrent_replicaset_syncs;
        config.gates = self.feature_gates.clone();
        config
    }

    /// The cluster to control; `None` if it is to be an embedded one.
    async fn connection(&self) -> Result<Option<Connection>> {
        if self.in_cluster {
            return Connection::in_cluster().map(Some);
        }
        let Some(path) = &self.kubeconfig else {
            return Ok(None);
        };
        let context = self.context.as_deref();
        Connection::by_kubeconfig(path, context).await.map(Some)
    }
}
