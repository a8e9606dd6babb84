use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::{Instant, interval, sleep_until};

use crate::demo::display::Display;
use crate::demo::picture::{Picture, PodState};
use crate::demo::sample::{NAMESPACE, SAMPLE, sample};
use crate::demo::view::View;

/// How often the display is drawn anew while nothing changes.
const FRAME: Duration = Duration::from_millis(100);

/// What happens to the sample, step by step.
#[derive(Debug)]
pub struct Tour {
    view: View,
    display: Display,
    deadline: Duration,
    sets: Api<ReplicaSet>,
    pods: Api<Pod>,
}

/// A step that did not go as it should.
#[derive(Debug)]
pub struct Failed {
    /// The step.
    pub step: String,
    /// What went wrong.
    pub reason: anyhow::Error,
}

impl Tour {
    /// A tour that is followed through `view` and shown on `display`; each step has to be over
    /// within `deadline`.
    pub fn new(view: View, display: Display, deadline: Duration) -> Self {
        Self {
            sets: Api::namespaced(view.client().clone(), NAMESPACE),
            pods: Api::namespaced(view.client().clone(), NAMESPACE),
            view,
            display,
            deadline,
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
        self.display.clear();
    }

    async fn step(
        &mut self,
        step: &str,
        act: impl AsyncFnOnce(&mut Self) -> Result<String>,
    ) -> Result<(), Failed> {
        self.display.begin(step);
        let started = Instant::now();
        match act(self).await {
            Ok(saw) => {
                let took = started.elapsed().as_secs_f64();
                self.display.done(&format!("{step}: {saw} ({took:.1} s)"));
                Ok(())
            }
            Err(reason) => Err(Failed {
                step: step.to_owned(),
                reason,
            }),
        }
    }

    async fn create(&mut self) -> Result<String> {
        let created = self.sets.create(&PostParams::default(), &sample(10)).await;
        created.context("the set could not be created")?;
        self.until(|picture| picture.has_settled_at(10)).await?;
        Ok("the API shows 10 ready pods, and a status that says so".to_owned())
    }

    async fn scale(&mut self, replicas: usize) -> Result<String> {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams::default();
        let scaled = self.sets.patch_scale(SAMPLE, &params, &scale).await;
        scaled.context("the set could not be scaled")?;
        self.until(|picture| picture.has_settled_at(replicas))
            .await?;
        Ok(format!(
            "the API shows {replicas} ready pods, and a status that says so"
        ))
    }

    async fn delete_some(&mut self) -> Result<String> {
        let picture = self.view.ask().await?;
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
        self.until(|picture| {
            picture.has_settled_at(present) && !doomed.iter().any(|name| picture.has(name))
        })
        .await?;
        Ok(format!(
            "the API shows none of them any more, and {present} ready pods again"
        ))
    }

    async fn relabel(&mut self) -> Result<String> {
        let picture = self.view.ask().await?;
        let present = picture.pods.len();
        let mut ready = picture.pods.into_iter();
        let stray = ready.find(|pod| pod.state == PodState::Ready);
        let stray = stray.context("none is ready")?.name;
        let label = Patch::Merge(json!({"metadata": {"labels": {"app": "stray"}}}));
        let params = PatchParams::default();
        let relabelled = self.pods.patch(&stray, &params, &label).await;
        relabelled.context("it could not be relabelled")?;
        self.until(|picture| picture.has_settled_at(present) && !picture.has(&stray))
            .await?;
        let pod = self.view.ask_for_pod(&stray).await;
        let pod = pod.with_context(|| format!("{stray} should have been left alone"))?;
        let owners = pod.metadata.owner_references.unwrap_or_default();
        anyhow::ensure!(owners.is_empty(), "{stray} is still owned: {owners:?}");
        Ok(format!(
            "the API shows that {stray} runs on and is nobody's, and {present} ready pods"
        ))
    }

    /// Waits for a picture, first as watched and then as asked for, and shows what comes before it.
    async fn until(&mut self, is_wanted: impl Fn(&Picture) -> bool) -> Result<()> {
        let deadline = sleep_until(Instant::now() + self.deadline);
        let mut deadline = std::pin::pin!(deadline);
        let mut frames = interval(FRAME);
        loop {
            let picture = self.view.picture();
            self.display.show(&picture, Instant::now());
            if is_wanted(&picture) && is_wanted(&self.view.ask().await?) {
                return Ok(());
            }
            tokio::select! {
                () = &mut deadline => {
                    let limit = self.deadline;
                    return Err(anyhow!("not over within {limit:?}; {picture}"));
                }
                changed = self.view.changed() => changed?,
                _ = frames.tick() => {}
            }
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#}", self.step, self.reason)
    }
}

impl std::error::Error for Failed {}
