//! Does a ReplicaSet controller that is killed again and again ever create a pod too many?
//!
//! While 1,000 ReplicaSets of 10 pods come to life, the controller is killed with SIGKILL 50 times
//! and started anew. Then all that ever happened to the pods is read from the server's history: at
//! no resource version may a set have had more active pods than its replicas and those of its pod
//! creates that were unanswered at the kills, and at the end each has exactly its replicas.
//!
//!     cargo bench -p kubewright-benches --bench crashes -- --seed 7

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{ListParams, WatchEvent, WatchParams};
use kube_client::config::Kubeconfig;
use kube_client::{Api, Client};
use kubewright_apiserver::controllers::{Controller, ControllersConfig};
use kubewright_apiserver::serve::{Listener, ListenerConfig};
use kubewright_apiserver::{ApiServer, Config as ServerConfig};
use kubewright_benches::{Ledger, Process, ReplicaSets, build, client_config};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long everything may take, and how long the end may.
const DEADLINE: Duration = Duration::from_secs(900);

/// Kills a ReplicaSet controller again and again.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many ReplicaSets are created.
    #[arg(long, default_value_t = 1000)]
    sets: usize,
    /// The replicas of each.
    #[arg(long, default_value_t = 10)]
    pods: i32,
    /// How many clients create them.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How often the controller is killed.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// What the moments of the kills are drawn from [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Where the program replica-set-controller is; without this it is built, with optimisations.
    #[arg(long, value_name = "DIRECTORY")]
    programs: Option<PathBuf>,
    /// Passed by `cargo bench`; without meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    #![expect(clippy::print_stdout, reason = "a bench prints its results")]
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let programs = match &arguments.programs {
        Some(directory) => directory.clone(),
        None => build(&["-p", "replica-set-controller"]).await?,
    };
    let mut config = ServerConfig::default();
    // A bookmark tells where history ends.
    config.bookmark_interval = Duration::from_secs(1);
    let server = ApiServer::new(config)?;
    let ledger = Ledger::new(server.service());
    let listener = Listener::bind(ListenerConfig::default()).await?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("kubeconfig");
    listener.kubeconfig().write(&path)?;
    let kubeconfig = Kubeconfig::read_from(&path)?;

    let mut controllers = ControllersConfig::default();
    controllers.enabled = [Controller::GarbageCollector, Controller::Namespaces].into();
    let stop = CancellationToken::new();
    let loops = server.controllers(controllers).run(stop.clone());
    let serving = listener.serve(ledger.clone(), stop.clone());
    let trial = async {
        let tried = run(
            &arguments,
            seed,
            &programs,
            &ledger,
            kubeconfig,
            directory.path(),
        )
        .await;
        stop.cancel();
        tried
    };
    let ((), (), tried) = tokio::join!(serving, loops, trial);
    tried?;
    let client = Client::new(server.service(), "default");
    let highest = check(&client, &arguments, &ledger.unanswered()).await?;
    let unanswered: usize = ledger.unanswered().values().sum();
    println!(
        "{} kills, {unanswered} pod creates unanswered at them; at most {highest} pods above the replicas of a set",
        arguments.kills
    );
    Ok(())
}

/// Creates the sets, and kills the controller until it has been killed often enough.
async fn run(
    arguments: &Arguments,
    seed: u64,
    programs: &Path,
    ledger: &Ledger,
    kubeconfig: Kubeconfig,
    directory: &Path,
) -> Result<()> {
    let config = client_config(kubeconfig.clone()).await?;
    let load = ReplicaSets {
        sets: arguments.sets,
        pods: arguments.pods,
        clients: arguments.clients,
    };
    let crashes = async {
        // A create for each pod, and at least one status for each set.
        let writes = load.sets * (usize::try_from(load.pods)? + 1);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut moments: Vec<_> = (0..arguments.kills)
            .map(|_| random.usize(1..writes))
            .collect();
        moments.sort_unstable();
        for moment in moments {
            let controller = start(programs, ledger, &kubeconfig, directory).await?;
            ledger.writes(moment).await;
            controller.kill().await?;
            ledger.killed();
        }
        start(programs, ledger, &kubeconfig, directory).await
    };
    let (_, last) = tokio::try_join!(load.run(&config, DEADLINE), crashes)?;
    settle(&Api::default_namespaced(config.try_into()?), &load).await?;
    last.kill().await?;
    // A create that it gave up waiting for was unanswered as well.
    ledger.killed();
    Ok(())
}

async fn start(
    programs: &Path,
    ledger: &Ledger,
    kubeconfig: &Kubeconfig,
    directory: &Path,
) -> Result<Process> {
    let mut kubeconfig = kubeconfig.clone();
    let user = kubeconfig.auth_infos.first_mut().context("a user")?;
    let user = user.auth_info.as_mut().context("a user")?;
    user.impersonate = Some(ledger.user());
    user.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    let path = directory.join(ledger.user());
    std::fs::write(&path, serde_json::to_vec(&kubeconfig)?)?;
    let path = path.to_str().context("temporary paths are UTF-8")?;
    let mut controller = Process::spawn(
        &programs.join("replica-set-controller"),
        &["--kubeconfig", path],
    )?;
    let begins = timeout(DEADLINE, controller.line()).await;
    begins.context("the controller does not begin")??;
    Ok(controller)
}

/// Waits until each set has as many pods as it should, and has had them for a while.
async fn settle(pods: &Api<Pod>, load: &ReplicaSets) -> Result<()> {
    let wanted = load.sets * usize::try_from(load.pods)?;
    let end = Instant::now() + DEADLINE;
    let mut quiet = 0;
    while quiet < 4 {
        ensure!(Instant::now() < end, "not {wanted} pods in the end");
        sleep(Duration::from_millis(500)).await;
        let params = ListParams::default();
        let active = pods.list_metadata(&params).await?.items.into_iter();
        let active = active.filter(|pod| pod.metadata.deletion_timestamp.is_none());
        quiet = if active.count() == wanted {
            quiet + 1
        } else {
            0
        };
    }
    Ok(())
}

/// Goes through all that happened to the pods; how far any set was above its replicas.
async fn check(
    client: &Client,
    arguments: &Arguments,
    unanswered: &HashMap<String, usize>,
) -> Result<usize> {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let list = pods.list_metadata(&ListParams::default().limit(1)).await?;
    let last: u64 = list
        .metadata
        .resource_version
        .context("a version")?
        .parse()?;
    let params = WatchParams::default().timeout(60);
    let events = pods.watch_metadata(&params, "1").await?;
    let mut events = std::pin::pin!(events);
    let replicas = usize::try_from(arguments.pods)?;
    let mut active: HashMap<String, HashSet<String>> = HashMap::new();
    let (mut highest, mut is_whole) = (0, false);
    while let Some(event) = events.try_next().await? {
        let (pod, is_gone) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
            WatchEvent::Deleted(pod) => (pod, true),
            WatchEvent::Bookmark(bookmark) => {
                let version: u64 = bookmark.metadata.resource_version.parse()?;
                if version >= last {
                    is_whole = true;
                    break;
                }
                continue;
            }
            WatchEvent::Error(status) => anyhow::bail!("history is not whole: {status}"),
        };
        let metadata = pod.metadata;
        let version: u64 = metadata.resource_version.context("a version")?.parse()?;
        let owner = metadata.owner_references.unwrap_or_default().remove(0).name;
        let of_set = active.entry(owner.clone()).or_default();
        let uid = metadata.uid.context("a uid")?;
        if is_gone || metadata.deletion_timestamp.is_some() {
            of_set.remove(&uid);
        } else {
            of_set.insert(uid);
        }
        let above = of_set.len().saturating_sub(replicas);
        let allowed = unanswered.get(&owner).copied().unwrap_or_default();
        ensure!(
            above <= allowed,
            "{owner} has {above} pods too many at version {version}, {allowed} creates were unanswered"
        );
        highest = highest.max(above);
    }
    ensure!(is_whole, "history was not read to its end");
    ensure!(
        active.len() == arguments.sets,
        "only {} sets have pods",
        active.len()
    );
    for (set, pods) in &active {
        ensure!(
            pods.len() == replicas,
            "{set} has {} pods in the end",
            pods.len()
        );
    }
    Ok(highest)
}
