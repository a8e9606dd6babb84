use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Request;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use kube_client::Client;
use tokio::time::{Instant, sleep};

use super::Tour;
use crate::census::Census;
use crate::{process, web};

/// How long nobody looks after the pods.
const ABSENCE: Duration = Duration::from_secs(1);

impl Tour<'_> {
    pub(super) async fn restart(&mut self) -> Result<String> {
        let before = self.census()?;
        let stopped = Instant::now();
        self.cluster.stop_agent().await?;
        sleep(ABSENCE).await;
        self.runs_unattended(&before).await?;
        self.cluster.start_agent().await?;
        let away = stopped.elapsed().as_secs_f64();
        self.has_found(&before).await?;
        let count = before.len();
        self.settled_at(count, |census| {
            anyhow::ensure!(*census == before, "pods were touched: {census}");
            Ok(())
        })
        .await?;
        Ok(format!(
            "{count} pods ran unattended for {away:.1} s, and the agent found them: the same \
             containers, the same processes, no restart"
        ))
    }

    async fn runs_unattended(&self, census: &Census) -> Result<()> {
        for (name, member) in census.members() {
            let pid = member.process;
            anyhow::ensure!(process::is_alive(pid), "process {pid} of {name} has ended");
            if let Some(port) = self.cluster.program().port() {
                let address = member.address.context("it has no address")?;
                let identity = web::ask(SocketAddr::new(address, port)).await;
                let identity = identity.with_context(|| format!("{name} does not answer"))?;
                anyhow::ensure!(identity.pod == *name, "{} answers for {name}", identity.pod);
            }
        }
        Ok(())
    }

    /// Waits until the agent says, through the API server, that all pods of a census run.
    async fn has_found(&mut self, census: &Census) -> Result<()> {
        let client = self.cluster.client().clone();
        let node = self.cluster.node_name();
        self.stage
            .until_seen(async |_| {
                let running = match running_pods(&client, node).await {
                    Ok(running) => running,
                    Err(error) => return Ok(ControlFlow::Continue(format!("{error:#}"))),
                };
                let missing: Vec<_> = census
                    .members()
                    .keys()
                    .filter(|name| !running.contains(*name))
                    .cloned()
                    .collect();
                Ok(match missing.is_empty() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(format!(
                        "the agent does not know of {}",
                        missing.join(", ")
                    )),
                })
            })
            .await
    }
}

/// The names of the pods of which an agent finds containers in its runtime, by its own word.
async fn running_pods(client: &Client, node: &str) -> Result<BTreeSet<String>> {
    let path = format!("/api/v1/nodes/{node}/proxy/runningpods/");
    let request = Request::get(path).body(Vec::new())?;
    let pods: List<Pod> = client
        .request(request)
        .await
        .context("the agent does not answer")?;
    let names = pods.items.into_iter().map(|pod| pod.metadata.name);
    Ok(names.flatten().collect())
}
