use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::view::{View, end};
use crate::pod::{ContainerKind, PodContainer, containers};
use crate::probe::{ProbeKind, ProbeOutcome, ProbeResults};
use crate::runtime::{ObservedContainer, ObservedPod};

/// Says of containers whether they have started and are ready.
///
/// A container is what it was said to be before, until its probes say otherwise: an agent that starts
/// makes no pod unready.
/// Answers to kubelet's `prober.UpdatePodStatus`.
pub(super) fn apply_probes(
    pod: &Pod,
    observed: &ObservedPod,
    previous: &[ContainerStatus],
    probes: &dyn ProbeResults,
    statuses: &mut [ContainerStatus],
) {
    for container in containers(pod) {
        let name = &container.spec.name;
        let Some(status) = statuses.iter_mut().find(|it| it.name == *name) else {
            continue;
        };
        let running = observed
            .container(name)
            .filter(|_| matches!(View::of(status), View::Running));
        let mut previous = previous.iter();
        let kept =
            previous.find(|old| old.name == *name && old.container_id == status.container_id);

        let (started, ready) = match running {
            None => (false, false),
            Some(running) => {
                let started = said(probes, ProbeKind::Startup, &container, running)
                    .or(kept.and_then(|kept| kept.started))
                    .unwrap_or_default();
                let ready = said(probes, ProbeKind::Readiness, &container, running)
                    .or(kept.map(|kept| kept.ready))
                    .unwrap_or_default();
                (started, started && ready)
            }
        };
        status.started = Some(started);
        status.ready = match container.kind {
            ContainerKind::Init => end(status).is_some_and(|end| end.exit_code == 0),
            ContainerKind::Ephemeral => false,
            ContainerKind::Sidecar | ContainerKind::Regular => ready,
        };
        if container.kind == ContainerKind::Ephemeral {
            status.started = None;
        }
    }
}

/// What the probe of a kind says of a container: yes if there is none.
fn said(
    probes: &dyn ProbeResults,
    kind: ProbeKind,
    container: &PodContainer<'_>,
    running: &ObservedContainer,
) -> Option<bool> {
    let spec = &container.spec;
    let probe = match kind {
        ProbeKind::Startup => &spec.startup_probe,
        ProbeKind::Readiness => &spec.readiness_probe,
        ProbeKind::Liveness => &spec.liveness_probe,
    };
    if probe.is_none() {
        return Some(true);
    }
    let outcome = probes.result(kind, &running.id)?;
    Some(outcome == ProbeOutcome::Success)
}
