//! What is shown: the circle of API server, controller, scheduler and node agent, with real processes.

mod node;
mod restart;
mod steps;

use anyhow::Result;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::Api;
use replica_set_controller::demo::{Failed, Stage};
use tokio::time::Instant;

use crate::census::Census;
use crate::cluster::Cluster;
use crate::workload::NAMESPACE;

/// How many pods there are at first, after the set is scaled up, and in the end.
const REPLICAS: [usize; 3] = [4, 8, 2];

/// What happens to a node, a ReplicaSet, its pods and their processes, step by step.
///
/// Each step is checked through the API and by process id.
#[derive(Debug)]
pub struct Tour<'a> {
    stage: Stage,
    cluster: &'a mut Cluster,
    sets: Api<ReplicaSet>,
    pods: Api<Pod>,
    /// Who ran when the last step was over.
    census: Option<Census>,
}

impl<'a> Tour<'a> {
    /// A tour of a cluster, on a stage whose view is of [the set](crate::replica_set).
    pub fn new(stage: Stage, cluster: &'a mut Cluster) -> Self {
        let client = cluster.client().clone();
        Self {
            stage,
            cluster,
            sets: Api::namespaced(client.clone(), NAMESPACE),
            pods: Api::namespaced(client, NAMESPACE),
            census: None,
        }
    }

    /// Takes all steps, and sums up what was seen.
    ///
    /// # Errors
    ///
    /// The first step that failed, or was not over in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the cluster as it is then; its agent may be stopped.
    pub async fn run(&mut self) -> Result<String, Failed> {
        let started = Instant::now();
        let [first, more, few] = REPLICAS;
        self.step("wait for the node", Self::meet_the_node).await?;
        let create = async |tour: &mut Self| tour.create(first).await;
        self.step(format!("create a ReplicaSet of {first}"), create)
            .await?;
        self.step("kill the process of a container", Self::kill)
            .await?;
        self.step("delete a pod", Self::delete).await?;
        let scale_up = async |tour: &mut Self| tour.scale(more).await;
        self.step(format!("scale it to {more}"), scale_up).await?;
        self.step("restart the node agent", Self::restart).await?;
        let scale_down = async |tour: &mut Self| tour.scale(few).await;
        self.step(format!("scale it to {few}"), scale_down).await?;
        let took = started.elapsed().as_secs_f64();
        Ok(format!(
            "{first} pods ran; a killed process was started anew, a deleted pod replaced; the \
             processes of {more} pods outlived a restart of their agent; {few} remain; {took:.1} s"
        ))
    }

    /// Takes everything that moves off the screen.
    pub fn clear(&self) {
        self.stage.clear();
    }

    async fn step(
        &mut self,
        name: impl Into<String>,
        act: impl AsyncFnOnce(&mut Self) -> Result<String>,
    ) -> Result<(), Failed> {
        let step = self.stage.begin(name);
        let saw = act(self).await;
        self.stage.end(step, saw)
    }
}
