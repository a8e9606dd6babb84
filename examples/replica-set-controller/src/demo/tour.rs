use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use crate::demo::picture::PodState;
use crate::demo::sample::{NAMESPACE, SAMPLE, sample};
use crate::demo::stage::{Failed, Stage};

/// What happens to the sample, step by step.
#[derive(Debug)]
pub struct Tour {
    stage: Stage,
    sets: Api<ReplicaSet>,
    pods: Api<Pod>,
}

impl Tour {
    /// A tour on a stage whose view is of the sample.
    pub fn new(stage: Stage) -> Self {
        let client = stage.view().client();
        Self {
            sets: Api::namespaced(client.clone(), NAMESPACE),
            pods: Api::namespaced(client.clone(), NAMESPACE),
            stage,
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
    /// Dropping the future leaves the sample as it is then.
    pub async fn run(&mut self) -> Result<String, Failed> {
        let started = Instant::now();
        self.step("create a ReplicaSet of 10", Self::create).await?;
        let scale_to_25 = async |tour: &mut Self| tour.scale(25).await;
        self.step("scale it to 25", scale_to_25).await?;
        self.step("delete 5 of its pods", Self::delete_some).await?;
        self.step("relabel one of its pods", Self::relabel).await?;
        let scale_to_3 = async |tour: &mut Self| tour.scale(3).await;
        self.step("scale it to 3", scale_to_3).await?;
        let took = started.elapsed().as_secs_f64();
        Ok(format!(
            "10 pods came to life, then 25; 5 were deleted and replaced, 1 was released and \
             replaced, 3 remain; {took:.1} s"
        ))
    }

    /// Takes everything that moves off the screen.
    pub fn clear(&self) {
        self.stage.clear();
    }

    async fn step(
        &mut self,
        name: &str,
        act: impl AsyncFnOnce(&mut Self) -> Result<String>,
    ) -> Result<(), Failed> {
        let step = self.stage.begin(name);
        let saw = act(self).await;
        self.stage.end(step, saw)
    }

    async fn create(&mut self) -> Result<String> {
        let created = self.sets.create(&PostParams::default(), &sample(10)).await;
        created.context("the set could not be created")?;
        self.stage
            .until(|picture| picture.has_settled_at(10))
            .await?;
        Ok("the API shows 10 ready pods, and a status that says so".to_owned())
    }

    async fn scale(&mut self, replicas: usize) -> Result<String> {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams::default();
        let scaled = self.sets.patch_scale(SAMPLE, &params, &scale).await;
        scaled.context("the set could not be scaled")?;
        self.stage
            .until(|picture| picture.has_settled_at(replicas))
            .await?;
        Ok(format!(
            "the API shows {replicas} ready pods, and a status that says so"
        ))
    }

    async fn delete_some(&mut self) -> Result<String> {
        let picture = self.stage.view().ask().await?;
        let present = picture.pods.len();
        let doomed: Vec<_> = picture
            .pods
            .into_iter()
            .take(5)
            .map(|pod| pod.name)
            .collect();
        for name in &doomed {
            let deleted = self.pods.delete(name, &DeleteParams::default()).await;
            deleted.with_context(|| format!("{name} could not be deleted"))?;
        }
        self.stage
            .until(|picture| {
                picture.has_settled_at(present) && !doomed.iter().any(|name| picture.has(name))
            })
            .await?;
        Ok(format!(
            "the API shows none of them any more, and {present} ready pods again"
        ))
    }

    async fn relabel(&mut self) -> Result<String> {
        let picture = self.stage.view().ask().await?;
        let present = picture.pods.len();
        let mut ready = picture.pods.into_iter();
        let stray = ready.find(|pod| pod.state == PodState::Ready);
        let stray = stray.context("none is ready")?.name;
        let label = Patch::Merge(json!({"metadata": {"labels": {"app": "stray"}}}));
        let params = PatchParams::default();
        let relabelled = self.pods.patch(&stray, &params, &label).await;
        relabelled.context("it could not be relabelled")?;
        self.stage
            .until(|picture| picture.has_settled_at(present) && !picture.has(&stray))
            .await?;
        let pod = self.stage.view().ask_for_pod(&stray).await;
        let pod = pod.with_context(|| format!("{stray} should have been left alone"))?;
        let owners = pod.metadata.owner_references.unwrap_or_default();
        anyhow::ensure!(owners.is_empty(), "{stray} is still owned: {owners:?}");
        Ok(format!(
            "the API shows that {stray} runs on and is nobody's, and {present} ready pods"
        ))
    }
}
