use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube_client::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube_client::{Client, Error};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::StatusManager;
use super::cache::{Scope, Write, can_be_deleted};
use crate::patch::{canonical, strategic};
use crate::pod::{PodUid, is_mirror};
use crate::status::{Containers, merge};

/// How often all statuses are looked at.
const PERIOD: Duration = Duration::from_secs(10);
/// How long the writing of one status may take before it is left to the next time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings statuses to the API server, one after the other.
///
/// # Guarantees
///
/// - It writes soon after something is new, and every 10 s what could not be written before, what
///   the API server has otherwise than it was told, and the deletion of pods that are done.
/// - A status is written to the pod of which it was said, and to no other of the same name. That of
///   a static pod is written to its mirror.
/// - A pod is deleted for good when somebody wants it deleted, its phase is terminal in the API
///   server, and its worker is done with it. A mirror pod never is.
#[must_use = "nothing is written unless the writer runs"]
pub struct StatusWriter {
    manager: StatusManager,
    client: Client,
    could_run: Box<dyn Fn(&PodUid) -> bool + Send + Sync>,
}

impl StatusWriter {
    pub(super) fn new(
        manager: StatusManager,
        client: Client,
        could_run: Box<dyn Fn(&PodUid) -> bool + Send + Sync>,
    ) -> Self {
        Self {
            manager,
            client,
            could_run,
        }
    }

    /// Writes until the token is cancelled. What is not written then is not written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the writing at once. A request under way may still take effect; an
    /// agent that comes after finds out.
    pub async fn run(self, token: CancellationToken) {
        let work = async {
            let mut period = interval_at(Instant::now() + PERIOD, PERIOD);
            period.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let scope = tokio::select! {
                    biased;
                    _ = period.tick() => Scope::All,
                    () = self.manager.shared.changed.notified() => Scope::Changed,
                };
                self.write_due(scope).await;
            }
        };
        token.run_until_cancelled(work).await;
    }

    async fn write_due(&self, scope: Scope) {
        let mut due = {
            let pods = self.manager.shared.pods.lock();
            self.manager.shared.cache.lock().due(&pods, scope)
        };
        due.retain(Write::is_due);
        let (count, mut failed, mut last_failure) = (due.len(), 0, None);
        for write in due {
            let failure = match timeout(PATIENCE, Box::pin(self.write(&write))).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            tracing::debug!(pod = %write.name, error = failure, "a status could not be written");
            failed += 1;
            last_failure = Some(failure);
        }
        if let Some(error) = last_failure {
            tracing::warn!(
                failed,
                count,
                error,
                "statuses of pods could not be written"
            );
        }
    }

    /// Answers to kubelet's `syncPod` of the status manager.
    async fn write(&self, write: &Write) -> Result<(), Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &write.name.namespace);
        let name = &*write.name.name;
        let Some(pod) = api.get_opt(name).await? else {
            // Whoever forgets the pod forgets its status.
            tracing::debug!(pod = %write.name, "a pod is gone before its status was written");
            return Ok(());
        };
        let published = PodUid::of(&pod);
        let shared = &self.manager.shared;
        let resolved = shared.pods.lock().resolve(&published);
        if resolved != write.uid {
            tracing::debug!(pod = %write.name, "a pod was deleted and made anew");
            // A new mirror is soon known for what it is.
            if !is_mirror(&pod) {
                shared.cache.lock().forget(&write.uid);
            }
            return Ok(());
        }
        let pod = self.patch(&api, pod, write).await?;
        shared
            .cache
            .lock()
            .written(published.clone(), write.version);
        if can_be_deleted(&pod, write.is_finished) {
            delete(&api, name, &published).await?;
            tracing::debug!(pod = %write.name, "a pod is deleted for good");
            shared.cache.lock().forget(&write.uid);
        }
        Ok(())
    }

    /// The pod as it is with its new status.
    async fn patch(&self, api: &Api<Pod>, pod: Pod, write: &Write) -> Result<Pod, Error> {
        let old = pod.status.clone().unwrap_or_default();
        let containers = if (self.could_run)(&write.uid) {
            Containers::MayRun
        } else {
            Containers::Stopped
        };
        // They may have ended since this was taken: what is said of them by now is how.
        let now = self.manager.shared.clock.now();
        let newest = self.manager.shared.cache.lock().status(&write.uid);
        let status = newest.unwrap_or_else(|| write.status.clone());
        let new = merge(&pod, &old, (*status).clone(), containers, now);
        let Some(status) = strategic(&canonical(&old), &canonical(&new)) else {
            return Ok(pod);
        };
        let patch: Value = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        let params = PatchParams::default();
        api.patch_status(&write.name.name, &params, &Patch::Strategic(patch))
            .await
    }
}

impl std::fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter").finish_non_exhaustive()
    }
}

/// Deletes a pod for good, if it is still the one of this uid.
async fn delete(api: &Api<Pod>, name: &str, uid: &PodUid) -> Result<(), Error> {
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: Some(uid.to_string()),
            resource_version: None,
        }),
        ..Default::default()
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
