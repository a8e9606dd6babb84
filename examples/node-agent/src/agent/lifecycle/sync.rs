use std::sync::Arc;

use anyhow::anyhow;
use k8s_openapi::api::core::v1::{Pod, Secret};
use tokio_util::sync::CancellationToken;

use crate::agent::parts::Parts;
use crate::causes::with_causes;
use crate::event::pod_reference;
use crate::objects::{References, Snapshot, pull_secrets};
use crate::pod::{PodName, PodUid, is_host_network, is_phase_terminal, is_static};
use crate::runtime::{ObservedPod, SyncRequest, SyncResult};
use crate::status::Course;
use crate::volume::MountedVolumes;
use crate::worker::{Failure, Outcome, SyncTurn, Synced, TurnError};

impl Parts {
    /// Makes what runs of a pod what its spec asks for.
    ///
    /// Answers to kubelet's `SyncPod`.
    pub(in crate::agent) async fn sync(
        &self,
        turn: SyncTurn,
        token: CancellationToken,
    ) -> Result<Synced, TurnError> {
        let SyncTurn {
            pod,
            mirror,
            observed,
            ..
        } = turn;
        let status = self.pod_status(&pod, &observed, Course::Ongoing, None);
        let has_ended = is_phase_terminal(status.phase.as_deref());
        self.statuses.set_pod_status(&pod, status);
        self.probes.prompt(&PodUid::of(&pod));
        if has_ended {
            return Ok(Synced::Ended);
        }
        if let Some(why) = self.health.network_errors()
            && !is_host_network(&pod)
        {
            let message = format!("network is not ready: {why}");
            self.events
                .warning(&pod_reference(&pod), "NetworkNotReady", message);
            return Err(TurnError::NetworkNotReady(why));
        }

        if self.cgroups.is_outside(&pod, &observed).await {
            let killed = token.run_until_cancelled(Box::pin(self.bring_inside(&pod, &observed)));
            return killed.await.unwrap_or(Err(TurnError::Cancelled));
        }
        if let Err(error) = self.cgroups.ensure(&pod).await {
            let message = format!("unable to ensure pod container exists: {error}");
            self.events
                .warning(&pod_reference(&pod), "FailedCreatePodContainer", message);
            return Err(TurnError::Reported(anyhow!(error)));
        }
        let prepared =
            token.run_until_cancelled(Box::pin(self.prepare(&pod, mirror.as_deref(), &observed)));
        let prepared = prepared.await.unwrap_or(Err(TurnError::Cancelled))?;
        self.probes.add_pod(&pod, &observed);
        let result = self.run(&pod, &observed, &prepared, &token).await;
        result.record(&PodUid::of(&pod), &mut self.failures.lock());
        if result.starts.iter().any(|start| start.result.is_err()) {
            // People are told why a container waits now, and not when it has waited.
            let status = self.pod_status(&pod, &observed, Course::Ongoing, None);
            self.statuses.set_pod_status(&pod, status);
        }
        if result.has_acted {
            self.pleg
                .request_relist(&PodUid::of(&pod), &PodName::of(&pod));
        }
        outcome(result)
    }

    /// Ends what runs outside of the pod's cgroup; the next turn starts it where it belongs.
    ///
    /// Answers to what kubelet's `SyncPod` does after `cgroupsPerQOS` was turned on.
    async fn bring_inside(&self, pod: &Pod, observed: &ObservedPod) -> Result<Synced, TurnError> {
        let name = PodName::of(pod);
        tracing::warn!(pod = %name, "a pod runs outside of its cgroup, and is ended");
        let killed = self.runtime.kill_pod(Some(pod), observed, None).await;
        killed.map_err(|error| TurnError::Failed(anyhow!(error)))?;
        self.pleg.request_relist(&PodUid::of(pod), &name);
        Ok(Synced::GoesOn)
    }

    /// Makes all that containers need before there are any.
    async fn prepare(
        &self,
        pod: &Arc<Pod>,
        mirror: Option<&Pod>,
        observed: &ObservedPod,
    ) -> Result<Prepared, TurnError> {
        if is_static(pod)
            && let Some(mirrors) = &self.mirrors
            && let Err(error) = mirrors.reconcile(pod, mirror).await
        {
            // The pod runs without one. It is tried again with the next sync.
            tracing::warn!(pod = %PodName::of(pod), %error, "a static pod has no mirror");
        }
        // A pod may come to refer to more: an ephemeral container does.
        self.objects.register_pod(pod);
        let objects = self.objects.snapshot(pod, &References::of(pod)).await;
        let (pull_secrets, warning) = pull_secrets(pod, &objects);
        if let Some(warning) = warning {
            self.events
                .warning(&pod_reference(pod), warning.reason, warning.message);
        }
        let objects = Arc::new(objects);
        let volumes = self.set_up_volumes(pod, observed, objects.clone()).await;
        let volumes = volumes.map_err(|error| {
            let message = with_causes(&error);
            self.events
                .warning(&pod_reference(pod), "FailedMount", message.clone());
            TurnError::Reported(anyhow!(message))
        })?;
        Ok(Prepared {
            objects,
            pull_secrets,
            volumes,
        })
    }

    async fn run(
        &self,
        pod: &Pod,
        observed: &ObservedPod,
        prepared: &Prepared,
        token: &CancellationToken,
    ) -> SyncResult {
        let request = SyncRequest {
            pod,
            observed,
            volumes: &prepared.volumes,
            objects: &prepared.objects,
            pull_secrets: &prepared.pull_secrets,
            probes: &self.probes,
        };
        self.runtime.sync_pod(request, token).await
    }
}

/// What was made for a pod's containers.
struct Prepared {
    objects: Arc<Snapshot>,
    pull_secrets: Vec<Arc<Secret>>,
    volumes: MountedVolumes,
}

/// What the worker is told of a sync.
fn outcome(result: SyncResult) -> Result<Synced, TurnError> {
    match result.outcome() {
        Outcome::Done | Outcome::PodEnded => Ok(Synced::GoesOn),
        Outcome::Cancelled => Err(TurnError::Cancelled),
        Outcome::Failed(Failure::Backoff { expiry }) => Err(TurnError::Backoff {
            expiry,
            message: failures(&result),
        }),
        Outcome::Failed(_) => match result.error {
            Some(error) if error.is_told() => Err(TurnError::Reported(anyhow!(error))),
            Some(error) => Err(TurnError::Failed(anyhow!(error))),
            // Each was told by an event of its own.
            None => Err(TurnError::Reported(anyhow!(failures(&result)))),
        },
    }
}

fn failures(result: &SyncResult) -> String {
    let failures = result.starts.iter().filter_map(|start| {
        let error = start.result.as_ref().err()?;
        let (container, reason) = (&start.container, error.reason);
        Some(format!(
            "failed to \"StartContainer\" for \"{container}\" with {reason}: {:?}",
            error.message
        ))
    });
    failures.collect::<Vec<_>>().join(", ")
}
