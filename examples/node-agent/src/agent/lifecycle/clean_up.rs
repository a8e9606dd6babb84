use std::sync::Arc;

use anyhow::anyhow;
use k8s_openapi::api::core::v1::Pod;

use crate::agent::parts::Parts;
use crate::pod::PodUid;
use crate::runtime::ObservedPod;
use crate::status::Course;
use crate::worker::TurnError;

impl Parts {
    /// Cleans up after a pod whose containers have ended.
    ///
    /// Its volumes go now; what else it has on disk stays as long as its source has the pod, for
    /// those who ask how it ended. Answers to kubelet's `SyncTerminatedPod`.
    pub(in crate::agent) async fn clean_up(
        &self,
        pod: &Arc<Pod>,
        observed: &ObservedPod,
    ) -> Result<(), TurnError> {
        let uid = PodUid::of(pod);
        let status = self.pod_status(pod, observed, Course::Over, None);
        self.statuses.set_pod_status(pod, status);
        let torn_down = self.tear_down_volumes(&uid).await;
        torn_down.map_err(|error| TurnError::Failed(anyhow!(error)))?;
        self.objects.unregister_pod(&uid);
        let removed = self.cgroups.remove(pod).await;
        removed.map_err(|error| {
            TurnError::Failed(anyhow!(error).context("failed to remove the cgroup of the pod"))
        })?;
        self.probes.remove_pod(&uid);
        self.statuses.terminate_pod(pod);
        Ok(())
    }
}
