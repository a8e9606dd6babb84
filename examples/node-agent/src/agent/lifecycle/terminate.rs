use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use k8s_openapi::api::core::v1::Pod;

use crate::agent::parts::Parts;
use crate::event::pod_reference;
use crate::pod::{PodName, PodUid};
use crate::runtime::{ObservedPod, PodRuntime as _, RuntimeState};
use crate::status::{Course, Eviction};
use crate::worker::TurnError;

/// How long the containers of a pod that nobody knows are given to end.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

impl Parts {
    /// Ends all containers of a pod.
    ///
    /// Answers to kubelet's `SyncTerminatingPod`.
    pub(in crate::agent) async fn terminate(
        &self,
        pod: &Arc<Pod>,
        observed: &ObservedPod,
        grace: Option<Duration>,
        eviction: Option<&Eviction>,
    ) -> Result<(), TurnError> {
        let uid = PodUid::of(pod);
        let status = self.pod_status(pod, observed, Course::Ongoing, eviction);
        self.statuses.set_pod_status(pod, status);
        self.probes.stop_liveness_and_startup(&uid);

        let killed = self.runtime.kill_pod(Some(pod), observed, grace).await;
        killed.map_err(|error| {
            let error = anyhow!(error);
            let message = format!("error killing pod: {error:#}");
            self.events
                .warning(&pod_reference(pod), "FailedKillPod", message);
            TurnError::Reported(error)
        })?;
        self.cgroups.pods_changed();
        // Nothing is ready any more of what does not run.
        self.probes.remove_pod(&uid);

        let name = PodName::of(pod);
        let ended = self.runtime.observe(&uid, &name).await;
        let mut ended = ended.map_err(|error| TurnError::Failed(anyhow!(error)))?;
        check_at_rest(&ended)?;
        // The addresses went with the sandbox, and the status still tells them.
        if ended.ips.is_empty() {
            ended.ips.clone_from(&observed.ips);
        }
        let status = self.pod_status(pod, &ended, Course::Over, eviction);
        self.statuses.set_pod_status(pod, status);
        self.pleg.request_relist(&uid, &name);
        Ok(())
    }

    /// Ends all containers of a pod that only the runtime knows.
    ///
    /// Answers to kubelet's `SyncTerminatingRuntimePod`.
    pub(in crate::agent) async fn terminate_orphan(
        &self,
        observed: &ObservedPod,
    ) -> Result<(), TurnError> {
        let killed = self
            .runtime
            .kill_pod(None, observed, Some(ORPHAN_GRACE))
            .await;
        killed.map_err(|error| TurnError::Failed(anyhow!(error)))?;
        self.pleg.request_relist(&observed.uid, &observed.name);
        Ok(())
    }
}

/// Whether the runtime did what it said.
fn check_at_rest(ended: &ObservedPod) -> Result<(), TurnError> {
    let containers = ended.containers.iter();
    let running = containers.filter(|container| container.state == RuntimeState::Running);
    let running: Vec<_> = running.map(|container| &*container.name).collect();
    if running.is_empty() {
        return Ok(());
    }
    let running = running.join(", ");
    Err(TurnError::Failed(anyhow!(
        "detected running containers after a successful KillPod, CRI violation: {running}"
    )))
}
