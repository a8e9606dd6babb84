use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use super::ask::{Answer, Ask, ProbeError, Question};
use super::target::{Target, timeout};
use super::{ProbeKind, ProbeOutcome};
use crate::event::{EventRecorder, container_reference};
use crate::pod::containers;
use crate::runtime::ContainerId;

/// How often a target is asked that cannot be asked.
const ATTEMPTS: usize = 3;

/// Probes containers, and tells people what is not well.
///
/// Answers to `prober.probe` of Kubernetes 1.36.
#[derive(Debug)]
pub struct Prober<A> {
    ask: A,
    events: EventRecorder,
}

impl<A: Ask> Prober<A> {
    /// A prober that asks and records there.
    pub fn new(ask: A, events: EventRecorder) -> Self {
        Self { ask, events }
    }

    /// Probes a container once. A warning is a success; one that cannot be asked is asked three
    /// times. A container without such a probe is well.
    ///
    /// # Errors
    ///
    /// If nothing was learnt of the target.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the probe up; nothing is recorded of it.
    pub async fn probe(
        &self,
        kind: ProbeKind,
        pod: &Pod,
        container: &Container,
        id: &ContainerId,
        pod_ip: &str,
    ) -> Result<ProbeOutcome, ProbeError> {
        let Some(probe) = kind.of(container) else {
            return Ok(ProbeOutcome::Success);
        };
        let answer = self.ask(probe, container, id, pod_ip).await;
        let (reason, message, outcome) = match answer {
            Ok(Answer::Success(_)) => return Ok(ProbeOutcome::Success),
            Ok(Answer::Warning(text)) => {
                let message = format!("{kind} probe warning: {text}");
                ("ProbeWarning", message, Ok(ProbeOutcome::Success))
            }
            Ok(Answer::Failure(text)) => {
                let message = format!("{kind} probe failed: {text}");
                ("Unhealthy", message, Ok(ProbeOutcome::Failure))
            }
            Err(error) => {
                let message =
                    format!("{kind} probe errored and resulted in unknown state: {error}");
                ("Unhealthy", message, Err(error))
            }
        };
        let reference = containers(pod)
            .find(|it| it.spec.name == container.name)
            .map(|it| container_reference(pod, it.kind, &container.name));
        if let Some(reference) = reference {
            self.events.warning(&reference, reason, message);
        }
        outcome
    }

    async fn ask(
        &self,
        probe: &Probe,
        container: &Container,
        id: &ContainerId,
        pod_ip: &str,
    ) -> Result<Answer, ProbeError> {
        let question = Question {
            container: id.clone(),
            target: Target::of(probe, container, pod_ip)?,
            timeout: timeout(probe),
        };
        for _ in 1..ATTEMPTS {
            if let Ok(answer) = self.ask.ask(&question).await {
                return Ok(answer);
            }
        }
        self.ask.ask(&question).await
    }
}

impl ProbeKind {
    /// The probe of this kind that a container has.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Startup => container.startup_probe.as_ref(),
        }
    }
}
