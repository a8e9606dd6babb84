//! What does it cost the ReplicaSet controller to bring 1,000 ReplicaSets of 10 pods to life?
//!
//! Server, controller and load are processes of their own, over HTTPS on loopback; the pods stay
//! pending, so that what is counted is the controller's work alone. The peer measured for this
//! question is kube-controller-manager 1.36 against a real API server: 10,000 pod creates, 2,000
//! status writes, 3 s of CPU, 179 MB resident, converged after 11.4 s.
//!
//!     cargo bench -p kubewright-benches --bench replica_sets -- --runs 5

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use kube_client::Client;
use kubewright_benches::{Cluster, Converged, Cost, Process, ReplicaSets, RequestCounts, build};

/// Measures the ReplicaSet controller under a burst of new ReplicaSets.
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
    /// How often all of it is done.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Passed by `cargo bench`; without meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run showed.
struct Run {
    times: Converged,
    cost: Cost,
    requests: RequestCounts,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let load = ReplicaSets {
        sets: arguments.sets,
        pods: arguments.pods,
        clients: arguments.clients,
    };
    let programs = build(&[
        "-p",
        "kubewright-apiserver",
        "--features",
        "kubewright-apiserver/server",
        "-p",
        "replica-set-controller",
    ])
    .await?;
    let mut runs = Vec::new();
    for number in 1..=arguments.runs {
        let run = measure(&programs, &load).await?;
        report(number, &load, &run);
        runs.push(run);
    }
    summary(&mut runs);
    for run in &runs {
        let wanted = load.sets as u64 * u64::from(load.pods.unsigned_abs());
        ensure!(
            run.requests.of("POST", "pods") == wanted,
            "not exactly {wanted} pod creates"
        );
        ensure!(
            run.requests.of("PUT", "replicasets/status") <= 2 * load.sets as u64,
            "more than two status writes per set"
        );
        ensure!(run.requests.answered("409") == 0, "there were conflicts");
    }
    Ok(())
}

async fn measure(programs: &std::path::Path, load: &ReplicaSets) -> Result<Run> {
    let directory = tempfile::tempdir()?;
    let cluster = Cluster::start(programs, directory.path()).await?;
    let config = cluster.config.clone();
    let mut controller = Process::spawn(
        &programs.join("replica-set-controller"),
        &["--kubeconfig", &cluster.kubeconfig],
    )?;
    controller.line().await?;
    let client = Client::try_from(config.clone())?;
    let before = RequestCounts::read(&client).await?;
    let times = load.run(&config, Duration::from_secs(120)).await?;
    // The controller's last requests, its events among them, are still on their way.
    let mut after = RequestCounts::read(&client).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let again = RequestCounts::read(&client).await?;
        if again.of("POST", "events") == after.of("POST", "events") {
            break;
        }
        after = again;
    }
    Ok(Run {
        times,
        cost: controller.cost()?,
        requests: &after - &before,
    })
}

fn report(number: usize, load: &ReplicaSets, run: &Run) {
    #![expect(clippy::print_stdout, reason = "a bench prints its results")]
    println!(
        "run {number}: {} ReplicaSets of {} pods, {} clients",
        load.sets, load.pods, load.clients
    );
    println!(
        "  created after {:.2} s, converged after {:.2} s",
        run.times.created.as_secs_f64(),
        run.times.converged.as_secs_f64(),
    );
    println!(
        "  controller: {:.2} s of CPU, {:.1} MB resident, {:.1} MB at its peak",
        run.cost.cpu.as_secs_f64(),
        megabytes(run.cost.resident),
        megabytes(run.cost.peak),
    );
    println!(
        "  pod creates {}, status writes {}, conflicts {}, events {}",
        run.requests.of("POST", "pods"),
        run.requests.of("PUT", "replicasets/status"),
        run.requests.answered("409"),
        run.requests.of("POST", "events") + run.requests.of("PATCH", "events"),
    );
    print!("{}", run.requests);
}

fn summary(runs: &mut [Run]) {
    #![expect(clippy::print_stdout, reason = "a bench prints its results")]
    let middle = runs.len() / 2;
    let mut median = |what: fn(&Run) -> f64| {
        runs.sort_by(|a, b| what(a).total_cmp(&what(b)));
        what(&runs[middle])
    };
    let (cpu, resident, converged) = (
        median(|run| run.cost.cpu.as_secs_f64()),
        median(|run| megabytes(run.cost.resident)),
        median(|run| run.times.converged.as_secs_f64()),
    );
    println!(
        "median: {cpu:.2} s of CPU, {resident:.1} MB resident, converged after {converged:.2} s"
    );
    println!(
        "goal:   1.50 s of CPU, 45.0 MB resident; kube-controller-manager 1.36: 3 s, 179 MB, 11.4 s"
    );
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
