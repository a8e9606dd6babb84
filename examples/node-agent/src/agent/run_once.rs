use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::{Agent, AgentError};
use crate::admission::Rejection;
use crate::pod::{ContainerKind, FAILED, PodName, PodUid, RestartPolicy, containers};
use crate::runtime::{ObservedPod, PodRuntime as _, RuntimeState};
use crate::worker::{SyncTurn, Synced, UpdateKind};

/// How long the sources have to say what there is to run.
const FIRST_UPDATE: Duration = Duration::from_secs(1);
/// How often a pod is tried.
const TRIES: u32 = 10;
/// How long it is waited after the first try; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// What came of one pod.
#[derive(Debug)]
pub struct RunPodResult {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Why it does not run, or how it has failed; one that the node does not take has no error.
    pub error: Option<anyhow::Error>,
}

/// Why not all pods run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunOnceError {
    /// The agent could not begin.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// No source has said anything in time.
    #[error("no pod manifest update after {FIRST_UPDATE:?}")]
    NoUpdate,
    /// These do not.
    #[error("error running pods: {}", names(.0))]
    Pods(Vec<RunPodResult>),
}

impl Agent {
    /// Runs the pods that the sources have at first, and returns when all of them run or have
    /// succeeded.
    ///
    /// It waits for the sources for 1 s. A pod that does not run yet is tried again after 1 s, and
    /// then after twice as long each time, ten times; an error ends that, and so does its end. Its
    /// regular containers and sidecars are waited for, but for those that have ended and are not to
    /// be started again. What runs goes on when this returns. Answers to the `RunOnce` of kubelets
    /// before Kubernetes 1.31, which knows of no pod that ends.
    ///
    /// # Errors
    ///
    /// If a pod does not run, or has failed. The results of all of them are part of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the attempts at once; what runs goes on.
    pub async fn run_once(self) -> Result<Vec<RunPodResult>, RunOnceError> {
        self.make_directories()?;
        self.parts.cgroups.set_up().await?;
        let Self {
            handler, drivers, ..
        } = self;
        let parts = handler.parts.clone();
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let (updates, mut receiver) = mpsc::channel(1);
        let sources = drivers.sources.run(updates, stop.clone());
        let first = async {
            loop {
                let update = receiver.recv().await?;
                if !update.pods.is_empty() || parts.ready.all() {
                    return Some(update.pods);
                }
                parts.ready.mark(update.source);
                if parts.ready.all() {
                    return Some(update.pods);
                }
            }
        };
        let pods = tokio::select! {
            first = timeout(FIRST_UPDATE, first) => first.ok().flatten(),
            () = sources => None,
        };
        let pods = pods.ok_or(RunOnceError::NoUpdate)?;
        let status = parts.runtime.runtime().status().await;
        parts
            .health
            .observe(tokio::time::Instant::now(), status.as_ref());

        let mut taken: Vec<Arc<Pod>> = Vec::new();
        let mut results = Vec::new();
        for pod in pods {
            parts.pods.lock().insert(pod.clone());
            match handler.admit(&pod, &taken) {
                Ok(preempted) => {
                    // Nothing of them runs yet.
                    for other in preempted {
                        taken.retain(|it| PodUid::of(it) != PodUid::of(&other));
                        handler.reject(&other, &Rejection::preempted());
                        results.push(RunPodResult {
                            pod: other,
                            error: None,
                        });
                    }
                    taken.push(pod);
                }
                Err(rejection) => {
                    handler.reject(&pod, &rejection);
                    results.push(RunPodResult { pod, error: None });
                }
            }
        }
        if let Err(error) = parts.cgroups.limit_node().await {
            tracing::warn!(%error, "the limits of all pods together are not set");
        }
        parts.cgroups.share(taken.clone()).await;
        let runs = taken.into_iter().map(|pod| async {
            let error = run_pod(&parts, &pod).await.err();
            RunPodResult { pod, error }
        });
        results.extend(join_all(runs).await);
        let has_failed = results.iter().any(|result| result.error.is_some());
        if has_failed {
            return Err(RunOnceError::Pods(results));
        }
        Ok(results)
    }
}

async fn run_pod(parts: &Parts, pod: &Arc<Pod>) -> anyhow::Result<()> {
    let (uid, name) = (PodUid::of(pod), PodName::of(pod));
    let mut wait = FIRST_WAIT;
    for tried in 0..=TRIES {
        let observed = parts.runtime.observe(&uid, &name).await?;
        if runs(pod, &observed) {
            return Ok(());
        }
        if tried == TRIES {
            break;
        }
        let turn = SyncTurn {
            kind: UpdateKind::Create,
            pod: pod.clone(),
            mirror: None,
            observed: Arc::new(observed),
        };
        match Box::pin(parts.sync(turn, CancellationToken::new())).await? {
            Synced::GoesOn => {}
            Synced::Ended => return how_it_ended(parts, pod),
        }
        sleep(wait).await;
        wait *= 2;
    }
    anyhow::bail!("timeout error: pod {name} containers not running after {TRIES} retries")
}

fn how_it_ended(parts: &Parts, pod: &Pod) -> anyhow::Result<()> {
    let status = parts.last_status(pod);
    if status.phase.as_deref() != Some(FAILED) {
        return Ok(());
    }
    let told = [status.reason, status.message].into_iter().flatten();
    let told: Vec<_> = told.filter(|text| !text.is_empty()).collect();
    match told.is_empty() {
        true => anyhow::bail!("the pod has failed"),
        false => anyhow::bail!("the pod has failed: {}", told.join(": ")),
    }
}

/// Whether a pod runs: all that is to go on does, and that is something. Init containers have their
/// end, and nobody waits for an ephemeral one.
fn runs(pod: &Pod, observed: &ObservedPod) -> bool {
    let policy = RestartPolicy::of(pod);
    let lasting = containers(pod).filter(|container| {
        matches!(
            container.kind,
            ContainerKind::Regular | ContainerKind::Sidecar
        )
    });
    let mut regular_run = 0;
    for container in lasting {
        let found = observed.container(&container.spec.name);
        let is_regular = container.kind == ContainerKind::Regular;
        match found.map(|found| (found.state, found.exit_code)) {
            Some((RuntimeState::Running, _)) => regular_run += usize::from(is_regular),
            Some((RuntimeState::Exited, code)) if is_regular && !policy.restarts(code) => {}
            _ => return false,
        }
    }
    regular_run > 0
}

/// The names of the pods that do not run.
fn names(results: &[RunPodResult]) -> String {
    let failed = results.iter().filter_map(|result| {
        let error = result.error.as_ref()?;
        Some((PodName::of(&result.pod).to_string(), format!("{error:#}")))
    });
    let failed: BTreeMap<_, _> = failed.collect();
    let failed = failed
        .into_iter()
        .map(|(name, error)| format!("{name}: {error}"));
    failed.collect::<Vec<_>>().join("; ")
}
