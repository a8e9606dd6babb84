use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kubewright_cri::v1;

use super::kill::Kill;
use super::remove::log_link_name;
use super::{NodeResources, RuntimeManager, StartError, SyncRequest};
use crate::causes::with_causes;
use crate::event::container_reference;
use crate::pod::{PodContainer, PodName, PodUid, described};
use crate::runtime::ContainerId;
use crate::runtime::hook::HookContext;
use crate::runtime::image::{EnsuredImage, ImageRequest};

/// Where containers are started.
pub(super) struct Start<'a> {
    pub(super) request: SyncRequest<'a>,
    pub(super) facts: NodeResources,
    pub(super) pod_ips: Vec<IpAddr>,
    pub(super) sandbox_id: Arc<str>,
    /// What the sandbox was made from.
    pub(super) sandbox: v1::PodSandboxConfig,
}

/// A container that is being started.
pub(super) struct Starting<'a> {
    pub(super) container: &'a PodContainer<'a>,
    /// How events name it.
    pub(super) reference: ObjectReference,
}

impl RuntimeManager {
    /// Starts one container, if it does not have to wait.
    ///
    /// Answers to kubelet's `startContainer`.
    pub(super) async fn start(
        &self,
        start: &Start<'_>,
        container: &PodContainer<'_>,
    ) -> Result<(), StartError> {
        let SyncRequest { pod, observed, .. } = start.request;
        let spec = &container.spec;
        let starting = Starting {
            container,
            reference: container_reference(pod, container.kind, &spec.name),
        };
        let now = self.now();
        let may_start = self
            .inner
            .crash_loop
            .lock()
            .try_start(pod, spec, observed, now);
        let restart_delay = may_start.map_err(|backoff| {
            let (name, pod) = (&spec.name, described(pod));
            let message = format!("Back-off restarting failed container {name} in pod {pod}");
            let events = self.events();
            events.warning(&starting.reference, "BackOff", message);
            StartError::from(backoff)
        })?;

        let image = self.ensure_image(start, &starting).await?;
        let created = self.create(start, &starting, &image, restart_delay);
        let (id, log_path) = created.await?;
        let created = "Container created";
        self.events()
            .normal(&starting.reference, "Created", created);
        let started = self.inner.runtime.start_container(&id).await;
        started.map_err(|error| {
            let cause = error.message().to_owned();
            self.fail(&starting, Some(&id), "RunContainerError", cause)
        })?;
        let message = "Container started";
        self.events()
            .normal(&starting.reference, "Started", message);
        self.link_log(start, &spec.name, &id, &log_path);
        self.run_post_start(start, &starting, &id).await
    }

    async fn ensure_image(
        &self,
        start: &Start<'_>,
        starting: &Starting<'_>,
    ) -> Result<EnsuredImage, StartError> {
        let SyncRequest {
            pod, pull_secrets, ..
        } = start.request;
        let spec = &starting.container.spec;
        let uid = PodUid::of(pod);
        let ensured = self.inner.images.ensure(ImageRequest {
            uid: &uid,
            reference: &starting.reference,
            image: spec.image.as_deref().unwrap_or_default(),
            policy: spec.image_pull_policy.as_deref(),
            pull_secrets,
            sandbox: &start.sandbox,
        });
        let ensured = Box::pin(ensured).await;
        if let Err(error) = &ensured {
            let message = format!("Error: {}", error.reason);
            self.events()
                .warning(&starting.reference, "Failed", message);
        }
        ensured
    }

    /// Tells that a container could not be made or started. What the runtime calls it is left out
    /// of events, so that those of one container are alike.
    pub(super) fn fail(
        &self,
        starting: &Starting<'_>,
        id: Option<&str>,
        reason: &'static str,
        cause: String,
    ) -> StartError {
        let name = &starting.container.spec.name;
        let told = match id {
            Some(id) => cause.replace(id, name),
            None => cause.clone(),
        };
        let message = format!("Error: {told}");
        self.events()
            .warning(&starting.reference, "Failed", message);
        StartError::new(reason, cause)
    }

    /// Makes the link by which those find the log who collect them.
    fn link_log(&self, start: &Start<'_>, container: &str, id: &str, log: &Path) {
        let Some(directory) = &self.settings().container_logs_dir else {
            return;
        };
        // A runtime that logs elsewhere leaves nothing to link to.
        if !log.exists() {
            return;
        }
        let PodName { namespace, name } = PodName::of(start.request.pod);
        let link = directory.join(log_link_name(&name, &namespace, container, id));
        if let Err(error) = symlink(log, &link) {
            tracing::warn!(link = %link.display(), %error, "a log cannot be linked to");
        }
    }

    async fn run_post_start(
        &self,
        start: &Start<'_>,
        starting: &Starting<'_>,
        id: &str,
    ) -> Result<(), StartError> {
        let pod = start.request.pod;
        let spec = &starting.container.spec;
        let lifecycle = spec.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()) else {
            return Ok(());
        };
        let context = HookContext {
            container_id: id,
            pod,
            container: spec,
            pod_ips: &start.pod_ips,
        };
        let error = match self.inner.hooks.run(&context, hook).await {
            Ok(event) => {
                self.tell_hook_event(pod, event.as_ref());
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::warn!(container = id, %error, "a postStart hook failed");
        // What it says may be secret.
        let message = "PostStartHook failed";
        let events = self.events();
        events.warning(&starting.reference, "FailedPostStartHook", message);
        let id = ContainerId {
            runtime: self.inner.name.get().cloned().unwrap_or_default(),
            id: id.into(),
        };
        let killed = self.kill(Kill {
            pod: Some(pod),
            pod_ips: &start.pod_ips,
            id: &id,
            name: &spec.name,
            message: Some("FailedPostStartHook"),
            reason: None,
            grace: None,
            turns: None,
        });
        if let Err(error) = killed.await {
            tracing::warn!(container = %id, error = with_causes(&error), "it goes on without its hook");
        }
        Err(StartError::new("PostStartHookError", error.to_string()))
    }
}
