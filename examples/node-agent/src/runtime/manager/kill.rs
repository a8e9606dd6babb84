use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Container, Lifecycle, ObjectReference, Pod};
use kubewright_cri::Error;
use tokio::time::{Instant, timeout};

use super::observe::read_record;
use super::turns::Turns;
use super::{KillError, RuntimeManager};
use crate::event::container_reference;
use crate::pod::{ContainerKind, containers, is_host_network};
use crate::runtime::hook::{HookContext, HookEvent};
use crate::runtime::{
    ContainerId, ContainerRecord, KillReason, ObservedPod, RuntimeState, TerminationOrder,
    kill_grace, stop_timeout,
};

/// A container that is to be stopped, and how.
pub(super) struct Kill<'a> {
    /// The pod; `None` if only the runtime knows it.
    pub(super) pod: Option<&'a Pod>,
    pub(super) pod_ips: &'a [IpAddr],
    pub(super) id: &'a ContainerId,
    /// Its name in the pod's spec.
    pub(super) name: &'a str,
    /// For people; `None` if there is nothing more to say.
    pub(super) message: Option<&'a str>,
    pub(super) reason: Option<KillReason>,
    /// How long it is given whatever the pod asks for.
    pub(super) grace: Option<Duration>,
    /// Whom it waits for.
    pub(super) turns: Option<&'a Turns>,
}

/// The container that is killed as its spec or what is written on it has it.
struct Victim<'a> {
    pod: Cow<'a, Pod>,
    container: Cow<'a, Container>,
    kind: ContainerKind,
}

impl RuntimeManager {
    /// Stops all containers of a pod and its sandboxes. May be repeated.
    ///
    /// All containers are stopped at once, sidecars after those they serve; each has its hook run
    /// and then the rest of its grace, 2 s at least. `grace` replaces what the pod asks for. Without
    /// a pod the labels and annotations of its containers say how they end.
    /// Answers to kubelet's `KillPod`.
    ///
    /// # Errors
    ///
    /// The first container or sandbox that could not be stopped. As long as the runtime cannot be
    /// reached for a container, its sandbox is left alone, since that would take its grace from it.
    pub async fn kill_pod(
        &self,
        pod: Option<&Pod>,
        observed: &ObservedPod,
        grace: Option<Duration>,
    ) -> Result<(), KillError> {
        let alive = observed.containers.iter();
        let alive: Vec<_> = alive
            .filter(|it| matches!(it.state, RuntimeState::Running | RuntimeState::Unknown))
            .collect();
        let names = alive.iter().map(|container| container.name.clone());
        let turns = pod.map(|pod| Turns::new(TerminationOrder::new(pod, names)));
        let kills = alive.iter().map(|container| {
            self.kill(Kill {
                pod,
                pod_ips: &observed.ips,
                id: &container.id,
                name: &container.name,
                message: None,
                reason: None,
                grace,
                turns: turns.as_ref(),
            })
        });
        let killed = join_all(kills).await;
        let mut failures: Vec<_> = killed.into_iter().filter_map(Result::err).collect();
        let is_out_of_reach =
            |failure: &KillError| matches!(failure.cause(), Error::Unavailable(_));
        if let Some(lost) = failures.iter().position(is_out_of_reach) {
            return Err(failures.swap_remove(lost));
        }

        let sandboxes = observed.sandboxes.iter();
        let stopped = join_all(sandboxes.map(|sandbox| self.stop_sandbox(&sandbox.id))).await;
        failures.extend(stopped.into_iter().filter_map(Result::err));
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    /// Stops one container of a pod, and tells why. May be repeated.
    ///
    /// Answers to kubelet's `killContainer`.
    ///
    /// # Errors
    ///
    /// The runtime did not stop it.
    pub async fn kill_container(
        &self,
        pod: Option<&Pod>,
        observed: &ObservedPod,
        id: &ContainerId,
        name: &str,
        message: &str,
        reason: Option<KillReason>,
    ) -> Result<(), KillError> {
        self.kill(Kill {
            pod,
            pod_ips: &observed.ips,
            id,
            name,
            message: Some(message),
            reason,
            grace: None,
            turns: None,
        })
        .await
    }

    pub(super) async fn kill(&self, kill: Kill<'_>) -> Result<(), KillError> {
        let failed = |source| KillError::Container {
            container: kill.name.to_owned(),
            source,
        };
        let Some(victim) = self.victim(&kill).await.map_err(failed)? else {
            // There is no such container any more.
            self.ended(&kill);
            return Ok(());
        };
        let Victim {
            pod,
            container,
            kind,
        } = &victim;
        let reference = container_reference(pod, *kind, &container.name);
        let message = match kill.message {
            Some(message) => message.to_owned(),
            None => format!("Stopping container {}", container.name),
        };
        self.events().normal(&reference, "Killing", message);

        let asked = || kill_grace(pod, Some(container), kill.reason);
        let grace = kill.grace.unwrap_or_else(asked);
        let start = Instant::now();
        if !grace.is_zero() {
            let hook = self.run_pre_stop(&victim, &kill, &reference);
            if timeout(grace, hook).await.is_err() {
                tracing::info!(container = %kill.id, "the hook did not end within the grace");
            }
        }
        let rest = grace.saturating_sub(start.elapsed());
        if let Some(turns) = kill.turns
            && !rest.is_zero()
        {
            turns.wait(kill.name, rest).await;
        }

        let rest = stop_timeout(grace, start.elapsed());
        match self.inner.runtime.stop_container(&kill.id.id, rest).await {
            Err(error) if !error.is_not_found() => Err(failed(error)),
            _ => {
                self.ended(&kill);
                Ok(())
            }
        }
    }

    fn ended(&self, kill: &Kill<'_>) {
        if let Some(turns) = kill.turns {
            turns.terminated(kill.name);
        }
    }

    /// Runs what is to be run before a container is stopped. Whatever comes of it, it is stopped.
    async fn run_pre_stop(
        &self,
        victim: &Victim<'_>,
        kill: &Kill<'_>,
        reference: &ObjectReference,
    ) {
        let lifecycle = victim.container.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()) else {
            return;
        };
        let host_ips;
        let pod_ips = if is_host_network(&victim.pod) {
            host_ips = self.facts().host_ips;
            &host_ips
        } else {
            kill.pod_ips
        };
        let context = HookContext {
            container_id: &kill.id.id,
            pod: &victim.pod,
            container: &victim.container,
            pod_ips,
        };
        match self.inner.hooks.run(&context, hook).await {
            Ok(event) => self.tell_hook_event(&victim.pod, event.as_ref()),
            Err(error) => {
                tracing::warn!(container = %kill.id, %error, "a preStop hook failed");
                // What it says may be secret.
                let message = "PreStopHook failed";
                let events = self.events();
                events.warning(reference, "FailedPreStopHook", message);
            }
        }
    }

    pub(super) fn tell_hook_event(&self, pod: &Pod, event: Option<&HookEvent>) {
        if let Some(&HookEvent { reason, message }) = event {
            let reference = crate::event::pod_reference(pod);
            self.events().warning(&reference, reason, message);
        }
    }

    /// The container as its pod has it, or else as what is written on it has it; `None` if it is
    /// not there.
    async fn victim<'a>(&self, kill: &Kill<'a>) -> Result<Option<Victim<'a>>, Error> {
        if let Some(pod) = kill.pod {
            let mut all = containers(pod);
            let found = all.find(|container| container.spec.name == kill.name);
            if let Some(found) = found {
                return Ok(Some(Victim {
                    pod: Cow::Borrowed(pod),
                    container: found.spec,
                    kind: found.kind,
                }));
            }
        }
        let status = match self.inner.runtime.container_status(&kill.id.id).await {
            Ok(status) => status,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(read_record(&status).map(restored))
    }

    async fn stop_sandbox(&self, id: &str) -> Result<(), KillError> {
        match self.inner.runtime.stop_pod_sandbox(id).await {
            Err(source) if !source.is_not_found() => Err(KillError::Sandbox {
                sandbox: id.to_owned(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// As much of a pod and its container as is written on the container.
///
/// Answers to kubelet's `restoreSpecsFromContainerLabels`.
fn restored(record: ContainerRecord) -> Victim<'static> {
    let mut pod = Pod::default();
    pod.metadata.uid = Some(record.pod.uid.to_string());
    pod.metadata.name = Some(record.pod.name.name.to_string());
    pod.metadata.namespace = Some(record.pod.name.namespace.to_string());
    pod.metadata.deletion_grace_period_seconds = record.deletion_grace_seconds;
    let spec = pod.spec.get_or_insert_default();
    spec.termination_grace_period_seconds = record.termination_grace_seconds;
    let lifecycle = record.pre_stop.map(|pre_stop| Lifecycle {
        pre_stop: Some(pre_stop),
        ..Lifecycle::default()
    });
    let container = Container {
        name: record.name.to_string(),
        ports: Some(record.ports),
        lifecycle,
        ..Container::default()
    };
    Victim {
        pod: Cow::Owned(pod),
        container: Cow::Owned(container),
        kind: ContainerKind::Regular,
    }
}
