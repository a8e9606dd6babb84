use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, Secret};
use tokio_util::sync::CancellationToken;

use super::observe::sandbox_ips;
use super::start::Start;
use super::{KillError, NodeResources, RuntimeManager, SyncError, SyncResult};
use crate::event::pod_reference;
use crate::objects::Snapshot;
use crate::pod::{
    ContainerKind, PodContainer, check_supported, containers, is_deleting, is_host_network,
};
use crate::probe::ProbeResults;
use crate::runtime::{
    ContainerId, ObservedPod, PodActions, RuntimeState, SandboxAction, StartAttempt, StartError,
    ToKill, compute_pod_actions, superseded_init_containers, unneeded_init_containers,
};
use crate::volume::MountedVolumes;

/// All that making a pod what it should be takes.
#[derive(Clone, Copy)]
pub struct SyncRequest<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What the runtime says of it.
    pub observed: &'a ObservedPod,
    /// Its volumes.
    pub volumes: &'a MountedVolumes,
    /// The objects that it refers to.
    pub objects: &'a Snapshot,
    /// The secrets that its images may be pulled with, in order.
    pub pull_secrets: &'a [Arc<Secret>],
    /// What probes came to.
    pub probes: &'a (dyn ProbeResults + Sync),
}

impl RuntimeManager {
    /// Makes what the runtime has of a pod what its spec asks for.
    ///
    /// What there is to be done says [`compute_pod_actions`]; it is done in this order: containers
    /// or the whole pod are stopped, init containers that were superseded are removed, the sandbox
    /// is made, then ephemeral, init and regular containers are started one after the other. A
    /// container that cannot be started keeps none from it but those that an init container is for.
    /// Answers to kubelet's `SyncPod`.
    ///
    /// # Cancel safety
    ///
    /// The token ends it at once, whatever call is under way, and so does dropping its future; the
    /// token leaves a result of what was done until then.
    pub async fn sync_pod(
        &self,
        request: SyncRequest<'_>,
        token: &CancellationToken,
    ) -> SyncResult {
        let mut result = SyncResult::default();
        let sync = Box::pin(self.sync(request, &mut result));
        let ended = token.run_until_cancelled(sync).await;
        if let Err(error) = ended.unwrap_or(Err(SyncError::Cancelled)) {
            result.error = Some(error);
        }
        result
    }

    async fn sync(
        &self,
        request: SyncRequest<'_>,
        result: &mut SyncResult,
    ) -> Result<(), SyncError> {
        let SyncRequest { pod, observed, .. } = request;
        if let Err(unsupported) = check_supported(pod) {
            let message = format!("Error syncing pod, skipping: {unsupported}");
            let events = self.events();
            events.warning(&pod_reference(pod), "FailedSync", message);
            return Err(unsupported.into());
        }
        let actions = compute_pod_actions(pod, observed, request.probes);
        result.has_acted = !actions.is_empty();
        self.clear(request, &actions).await?;

        let starts = planned_starts(pod, &actions);
        let attempt = match actions.sandbox {
            // A pod that goes gets nothing new.
            SandboxAction::Create { .. } if is_deleting(pod) => return Ok(()),
            SandboxAction::Create { attempt, .. } => attempt,
            SandboxAction::Keep { .. } if starts.is_empty() => return Ok(()),
            SandboxAction::Keep { ref id } => attempt_of(observed, id),
            SandboxAction::Abandon { .. } => return Ok(()),
        };
        let facts = self.facts();
        let made = match self.sandbox_config(pod, &facts, attempt).await {
            Ok(made) => made,
            Err(error) => {
                let error = SyncError::from(error);
                self.tell_sandbox_failure(pod, &error);
                return Err(error);
            }
        };
        let (sandbox_id, sandbox_ips) = match &actions.sandbox {
            SandboxAction::Keep { id } => (id.clone(), observed.ips.clone()),
            _ => {
                let status = self.create_sandbox(pod, &made).await?;
                (status.id.as_str().into(), sandbox_ips(&status))
            }
        };
        let start = Start {
            request,
            pod_ips: pod_ips(pod, &facts, sandbox_ips),
            facts,
            sandbox_id,
            sandbox: made.config,
        };
        self.start_all(&start, starts, result).await;
        Ok(())
    }

    /// Stops and removes what is in the way.
    async fn clear(&self, request: SyncRequest<'_>, actions: &PodActions) -> Result<(), SyncError> {
        let SyncRequest { pod, observed, .. } = request;
        if let SandboxAction::Create { old: Some(_), .. } = actions.sandbox {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            let events = self.events();
            events.normal(&pod_reference(pod), "SandboxChanged", message);
        }
        if actions.kill_pod {
            self.kill_pod(Some(pod), observed, None).await?;
            if let SandboxAction::Create { .. } = actions.sandbox {
                self.make_way(pod, observed).await?;
            }
            return Ok(());
        }
        let kills = actions.containers_to_kill.iter().map(|container| {
            let ToKill {
                id,
                name,
                message,
                reason,
            } = container;
            self.kill_container(Some(pod), observed, id, name, message, Some(*reason))
        });
        for killed in join_all(kills).await {
            killed?;
        }
        self.remove_all(superseded_init_containers(pod, observed))
            .await;
        Ok(())
    }

    /// Removes what would tell that a new sandbox is initialized though it is not: all init
    /// containers, which run again, and what was made and never started.
    ///
    /// Kubelet goes on if it cannot, and then may leave init containers out.
    async fn make_way(&self, pod: &Pod, observed: &ObservedPod) -> Result<(), KillError> {
        let init = unneeded_init_containers(pod, observed);
        let in_the_way = observed.containers.iter();
        let in_the_way =
            in_the_way.filter(|it| it.state == RuntimeState::Created || init.contains(&it.id));
        for container in in_the_way {
            let removed = self.remove_container(&container.id.id).await;
            removed.map_err(|source| KillError::Removal {
                container: container.name.to_string(),
                source,
            })?;
        }
        Ok(())
    }

    /// Removes containers of which the garbage collection would get hold anyway.
    async fn remove_all(&self, ids: Vec<ContainerId>) {
        for id in ids {
            if let Err(error) = self.remove_container(&id.id).await {
                tracing::warn!(container = %id, %error, "an init container cannot be removed");
            }
        }
    }

    async fn start_all(
        &self,
        start: &Start<'_>,
        containers: Vec<PodContainer<'_>>,
        result: &mut SyncResult,
    ) {
        for container in containers {
            let started = self.start(start, &container).await;
            // Nothing goes on without an init container; that a sidecar is late stops nobody.
            let is_end = started.is_err() && container.kind == ContainerKind::Init;
            result.starts.push(attempt(&container, started));
            if is_end {
                return;
            }
        }
    }
}

fn attempt(container: &PodContainer<'_>, result: Result<(), StartError>) -> StartAttempt {
    if let Err(error) = &result {
        let container = &container.spec.name;
        tracing::debug!(container, %error, "a container was not started");
    }
    StartAttempt {
        container: container.spec.name.clone(),
        result,
    }
}

/// The containers that are to be started, in the order in which they are.
fn planned_starts<'a>(pod: &'a Pod, actions: &PodActions) -> Vec<PodContainer<'a>> {
    let of = |kinds: &'static [ContainerKind], indices: &[usize]| {
        let all: Vec<_> = containers(pod)
            .filter(|container| kinds.contains(&container.kind))
            .collect();
        let wanted = indices.iter();
        let found = wanted.filter_map(move |index| {
            let mut all = all.iter();
            all.find(|container| container.index == *index).cloned()
        });
        found.collect::<Vec<_>>()
    };
    let mut starts = of(
        &[ContainerKind::Ephemeral],
        &actions.ephemeral_containers_to_start,
    );
    starts.extend(of(
        &[ContainerKind::Init, ContainerKind::Sidecar],
        &actions.init_containers_to_start,
    ));
    starts.extend(of(&[ContainerKind::Regular], &actions.containers_to_start));
    starts
}

fn attempt_of(observed: &ObservedPod, id: &str) -> u32 {
    let mut sandboxes = observed.sandboxes.iter();
    let kept = sandboxes.find(|sandbox| &*sandbox.id == id);
    kept.map_or(0, |sandbox| sandbox.attempt)
}

fn pod_ips(pod: &Pod, facts: &NodeResources, of_sandbox: Vec<IpAddr>) -> Vec<IpAddr> {
    match is_host_network(pod) {
        true => facts.host_ips.clone(),
        false => of_sandbox,
    }
}

impl fmt::Debug for SyncRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncRequest")
            .field("pod", &self.observed.name)
            .finish_non_exhaustive()
    }
}
