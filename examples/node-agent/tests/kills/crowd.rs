//! Two hundred pods at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::Api;
use kube_client::api::{DeleteParams, PostParams};
use kubewright_clock::Clock;
use serde_json::json;
use tokio::time::Instant;

use crate::assembly::eventually;
use crate::audit::{Audit, until_nothing_but};
use crate::machine::Machine;
use crate::pods::Life;

const PODS: usize = 200;

/// For how many seconds the node is taken to be well: as a real one is, so that what is found is a
/// heartbeat that starves, and not a machine that does much else.
const LEASE: i64 = 40;

/// How long they may take to run, and to be gone: on a machine that does much else.
const BOUND: Duration = Duration::from_secs(200);

pub(crate) async fn two_hundred() -> Result<()> {
    let mut machine = Machine::new("crowd").await?;
    machine.configure(&json!({
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "nodeLeaseDurationSeconds": LEASE,
    }))?;
    machine.serve_runtime().await?;
    let mut audit = Audit::start(&machine);
    let agent = machine.start_agent()?;
    machine.until_ready(true).await?;
    let pods = machine.pods();
    let lease = async || Ok(lease_holds(&machine).await.ok());
    eventually("the node has a lease", BOUND, lease).await?;
    let (idle, _) = agent.memory()?;

    let start = Instant::now();
    let names: Vec<_> = (0..PODS).map(|number| format!("one-{number}")).collect();
    let create = names.iter().map(async |name| {
        let pod = Life::Sleeper.pod(name, machine.name);
        pods.create(&PostParams::default(), &pod).await
    });
    try_join_all(create).await?;
    eventually("all pods run", BOUND, async || {
        lease_holds(&machine).await?;
        let good = audit.count(|pod| Life::Sleeper.check(pod).is_ok());
        Ok((good == PODS).then_some(()))
    })
    .await
    .with_context(|| machine.agent_log())?;
    let run = start.elapsed();
    let (with_pods, most) = agent.memory()?;
    audit.check()?;

    let start = Instant::now();
    let params = DeleteParams::default();
    let delete = names.iter().map(|name| pods.delete(name, &params));
    try_join_all(delete).await?;
    eventually("all pods are gone", BOUND, async || {
        lease_holds(&machine).await?;
        Ok((audit.count(|_| true) == 0).then_some(()))
    })
    .await
    .with_context(|| machine.agent_log())?;
    let gone = start.elapsed();
    until_nothing_but(&machine, &[].into(), BOUND).await?;
    audit.check()?;
    let (left, _) = agent.memory()?;
    eprintln!(
        "{PODS} pods at once: all run after {run:.1?}, and are gone {gone:.1?} after they were \
         deleted; the agent has {idle} kB idle, {with_pods} kB with them ({most} kB at most), and \
         {left} kB afterwards"
    );
    agent.terminate().await?;
    machine.stop().await
}

/// Fails if the lease of the node has run out.
async fn lease_holds(machine: &Machine) -> Result<()> {
    let leases = Api::<Lease>::namespaced(machine.client.clone(), "kube-node-lease");
    let lease = leases
        .get(machine.name)
        .await?
        .spec
        .context("it says something")?;
    let renewed = lease.renew_time.context("it was renewed")?.0;
    let holds = i64::from(lease.lease_duration_seconds.unwrap_or_default());
    ensure!(holds == LEASE, "the lease holds {holds} s");
    let age = Clock::system().now().duration_since(renewed);
    ensure!(
        age < SignedDuration::from_secs(holds),
        "the lease was renewed {age:#} ago, and holds {holds} s"
    );
    Ok(())
}
