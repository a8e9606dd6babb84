//! A pod that does not end when it is asked to.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube_client::api::{DeleteParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use crate::assembly::eventually;
use crate::audit::{Audit, until_nothing_but};
use crate::machine::{DEADLINE, Machine};
use crate::pods::{Life, pod, script};

pub(crate) async fn ignores_its_signal() -> Result<()> {
    let mut machine = Machine::new("stubborn").await?;
    machine.serve_runtime().await?;
    let mut audit = Audit::start(&machine);
    let agent = machine.start_agent()?;
    machine.until_ready(true).await?;
    let pods = machine.pods();
    let listens = machine.manifests().join(".listens");
    let deaf = format!(
        "trap '' TERM; touch {}; while :; do sleep 0.1; done",
        listens.display()
    );
    // Longer than anything here may take: the end comes with less.
    let spec = json!({"terminationGracePeriodSeconds": 600, "containers": [script("main", &deaf)]});
    let params = PostParams::default();
    pods.create(&params, &pod("deaf", machine.name, spec))
        .await?;
    machine
        .until("deaf", |pod| Life::Sleeper.check(pod))
        .await?;

    eventually("it ignores its signal", DEADLINE, async || {
        Ok(listens.exists().then_some(()))
    })
    .await?;

    pods.delete("deaf", &DeleteParams::default()).await?;
    // The others do not wait for it.
    pods.create(&params, &Life::Job.pod("job", machine.name))
        .await?;
    machine.until("job", |pod| Life::Job.check(pod)).await?;
    ensure!(pods.get_opt("deaf").await?.is_some(), "it had no grace");
    let start = Instant::now();
    let shorter = DeleteParams::default().grace_period(3);
    pods.delete("deaf", &shorter).await?;
    let gone = async || Ok(pods.get_opt("deaf").await?.is_none().then_some(()));
    eventually("the pod is gone", DEADLINE, gone).await?;
    let took = start.elapsed();
    ensure!(took >= Duration::from_secs(3), "3 s of grace took {took:?}");
    eprintln!("a pod that ignores its signal, with 3 s of grace: gone after {took:.2?}");

    pods.delete("job", &DeleteParams::default()).await?;
    until_nothing_but(&machine, &[].into(), DEADLINE).await?;
    audit.check()?;
    agent.terminate().await?;
    machine.stop().await
}
