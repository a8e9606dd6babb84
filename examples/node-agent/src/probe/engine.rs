use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus, Probe};
use tokio::time::Instant;

use super::target::seconds;
use super::{ProbeKind, ProbeOutcome};
use crate::moment::Moment;
use crate::pod::{ContainerKind, PodContainer, RestartPolicy, is_deleting, is_phase_terminal};
use crate::runtime::ContainerId;

/// What one probe of one container does next, and what it makes of the answers.
///
/// Each period it [looks](Self::look) at the pod; if it is to probe, the answer is
/// [counted](Self::count). How long a container runs is measured by the clock that nobody sets, from
/// when it was started; when that was, the runtime says, and it was not before the last look.
/// Answers to `worker.doProbe` of Kubernetes 1.36.
#[derive(Clone, Debug)]
pub struct ProbeEngine {
    kind: ProbeKind,
    name: String,
    initial_delay: Duration,
    success_threshold: u32,
    failure_threshold: u32,
    /// Whether the container is started again once it has ended.
    is_restarted: bool,
    is_deleting: bool,
    /// The container that ran before the engine was made. It keeps what was said of it.
    inherited: Option<ContainerId>,
    /// The container that was seen last.
    container: Option<ContainerId>,
    /// When it was started, if it was seen to run.
    started_at: Option<Instant>,
    /// When it was looked last; at first, when the engine was made.
    looked_at: Instant,
    /// It has failed and will be replaced; until then it is left alone.
    is_on_hold: bool,
    last: Option<ProbeOutcome>,
    /// How often the last answer came in a row.
    run: u32,
}

/// What becomes of the result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultEffect {
    /// It is this.
    Set(ContainerId, ProbeOutcome),
    /// There is none any more.
    Forget(ContainerId),
}

/// What a probe does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing in this period.
    Wait,
    /// It probes.
    Probe,
    /// There is nothing to probe any more, for ever.
    End,
}

impl ProbeEngine {
    /// The engine of one probe, made at `now`; `inherited` is the container if it runs already.
    pub fn new(
        kind: ProbeKind,
        pod: &Pod,
        container: &PodContainer<'_>,
        probe: &Probe,
        inherited: Option<ContainerId>,
        now: Instant,
    ) -> Self {
        let threshold = |given: Option<i32>, default: u32| {
            let given = given.and_then(|count| u32::try_from(count).ok());
            given.filter(|count| *count > 0).unwrap_or(default)
        };
        let delay = probe.initial_delay_seconds.unwrap_or_default().max(0);
        Self {
            kind,
            name: container.spec.name.clone(),
            initial_delay: Duration::from_secs(delay.unsigned_abs().into()),
            success_threshold: threshold(probe.success_threshold, 1),
            failure_threshold: threshold(probe.failure_threshold, 3),
            is_restarted: container.kind == ContainerKind::Sidecar
                || RestartPolicy::of(pod) != RestartPolicy::Never,
            is_deleting: is_deleting(pod),
            inherited,
            container: None,
            started_at: None,
            looked_at: now,
            is_on_hold: false,
            last: None,
            run: 0,
        }
    }

    /// How often a probe looks: every 10 seconds unless told otherwise.
    pub fn period(probe: &Probe) -> Duration {
        seconds(probe.period_seconds, 10)
    }

    /// The container that is probed, if one was seen.
    pub fn container(&self) -> Option<&ContainerId> {
        self.container.as_ref()
    }

    /// Looks at what is known of the pod.
    pub fn look(&mut self, status: Option<&PodStatus>, now: Moment) -> (Vec<ResultEffect>, Next) {
        let mut effects = Vec::new();
        let next = self.look_into(status, now, &mut effects);
        self.looked_at = now.at;
        (effects, next)
    }

    fn look_into(
        &mut self,
        status: Option<&PodStatus>,
        now: Moment,
        effects: &mut Vec<ResultEffect>,
    ) -> Next {
        let Some(status) = status else {
            return Next::Wait;
        };
        if is_phase_terminal(status.phase.as_deref()) {
            return Next::End;
        }
        let Some((seen, id)) = self.find(status) else {
            return Next::Wait;
        };
        if self.container.as_ref() != Some(&id) {
            effects.extend(self.container.take().map(ResultEffect::Forget));
            self.container = Some(id.clone());
            self.started_at = None;
            self.is_on_hold = false;
            if self.inherited.as_ref() != Some(&id) {
                effects.push(ResultEffect::Set(id.clone(), self.initial()));
            }
        }
        if self.is_on_hold {
            return Next::Wait;
        }
        let state = seen.state.as_ref();
        let Some(running) = state.and_then(|state| state.running.as_ref()) else {
            effects.push(ResultEffect::Set(id, ProbeOutcome::Failure));
            let has_ended = state.is_some_and(|state| state.terminated.is_some());
            return if has_ended && !self.is_restarted {
                Next::End
            } else {
                Next::Wait
            };
        };
        // Nobody restarts a container of a pod that is to go.
        if self.is_deleting && self.kind != ProbeKind::Readiness {
            effects.push(ResultEffect::Set(id, ProbeOutcome::Success));
            return Next::End;
        }
        if let (None, Some(told)) = (self.started_at, &running.started_at) {
            let is_inherited = self.inherited.as_ref() == Some(&id);
            self.started_at = Some(match is_inherited {
                true => now.when(told.0),
                false => now.when_since(told.0, self.looked_at),
            });
        }
        let runs = self.started_at.map(|at| now.at.duration_since(at));
        if runs.is_some_and(|runs| runs < self.initial_delay) {
            return Next::Wait;
        }
        // The startup probe has the word until it succeeds, and none after that.
        let is_started = seen.started.unwrap_or_default();
        if is_started == (self.kind == ProbeKind::Startup) {
            return Next::Wait;
        }
        Next::Probe
    }

    /// Counts the answer to a probe; what the probe comes to by it, if that is for certain.
    pub fn count(&mut self, answer: ProbeOutcome) -> Option<ResultEffect> {
        if self.last == Some(answer) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(answer);
            self.run = 1;
        }
        let threshold = match answer {
            ProbeOutcome::Failure => self.failure_threshold,
            ProbeOutcome::Success => self.success_threshold,
            ProbeOutcome::Unknown => 1,
        };
        if self.run < threshold {
            return None;
        }
        // A command in a container that is being stopped harms some runtimes.
        if answer == ProbeOutcome::Failure && self.kind != ProbeKind::Readiness {
            self.is_on_hold = true;
            self.run = 0;
        }
        let id = self.container.clone()?;
        Some(ResultEffect::Set(id, answer))
    }

    /// What a probe comes to that has not been asked.
    fn initial(&self) -> ProbeOutcome {
        match self.kind {
            ProbeKind::Readiness => ProbeOutcome::Failure,
            ProbeKind::Liveness => ProbeOutcome::Success,
            ProbeKind::Startup => ProbeOutcome::Unknown,
        }
    }

    fn find<'s>(&self, status: &'s PodStatus) -> Option<(&'s ContainerStatus, ContainerId)> {
        let lists = [&status.container_statuses, &status.init_container_statuses];
        lists.into_iter().flatten().find_map(|statuses| {
            let seen = statuses.iter().find(|status| status.name == self.name)?;
            Some((seen, parse_id(seen.container_id.as_deref()?)?))
        })
    }
}

/// A container as statuses name it.
fn parse_id(text: &str) -> Option<ContainerId> {
    let (runtime, id) = text.split_once("://")?;
    (!id.is_empty()).then(|| ContainerId {
        runtime: runtime.into(),
        id: id.into(),
    })
}
