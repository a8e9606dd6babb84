use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kubewright_clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::engine::ProbeEngine;
use super::shared::{Shared, Ticket};
use super::worker::Worker;
use super::{ProbeKind, ProbeOutcome, ProbeResults, ProbeUpdate, Prober};
use crate::pod::{PodUid, containers};
use crate::runtime::{ContainerId, ObservedPod};

/// Where the last status of a pod is looked up.
pub type Statuses = Arc<dyn Fn(&PodUid) -> Option<Arc<PodStatus>> + Send + Sync>;

/// Probes the containers of pods: one worker for each probe of each container.
///
/// Cheap to clone; clones are the same. Nothing is probed before its [`ProbeDriver`] runs.
///
/// # Guarantees
///
/// - Results are what the probes came to after their thresholds; each change of one is published
///   once, in order, and the first result of a container is a change.
/// - A result holds until its container is replaced or its pod is removed: that a worker has
///   stopped makes no container unready.
/// - What a worker finds out after its pod was removed changes nothing.
///
/// Answers to `prober.Manager` and `results.Manager` of Kubernetes 1.36.
#[derive(Clone, Debug)]
pub struct ProbeManager {
    shared: Arc<Shared>,
}

/// How containers are probed.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// When the agent was started: shortly after that, probes do not all begin at once. Default:
    /// `None`, which is long ago.
    pub agent_started_at: Option<Instant>,
    /// What chance is made of. Default: 0.
    pub seed: u64,
}

/// What drives the workers of a [`ProbeManager`].
pub struct ProbeDriver<A> {
    shared: Arc<Shared>,
    prober: Arc<Prober<A>>,
    statuses: Statuses,
    clock: Clock,
    updates: mpsc::Sender<ProbeUpdate>,
    agent_started_at: Option<Instant>,
    random: fastrand::Rng,
}

impl ProbeManager {
    /// A manager whose workers use this prober, look at pods there, and publish changes of results
    /// there; and what drives it.
    ///
    /// A worker waits for room among the updates.
    pub fn new<A: Ask>(
        prober: Prober<A>,
        statuses: Statuses,
        updates: mpsc::Sender<ProbeUpdate>,
        clock: Clock,
        options: ProbeOptions,
    ) -> (Self, ProbeDriver<A>) {
        let shared: Arc<Shared> = Arc::default();
        let driver = ProbeDriver {
            shared: Arc::clone(&shared),
            prober: Arc::new(prober),
            statuses,
            clock,
            updates,
            agent_started_at: options.agent_started_at,
            random: fastrand::Rng::with_seed(options.seed),
        };
        (Self { shared }, driver)
    }

    /// Probes the containers and sidecars of a pod from now on. May be repeated.
    ///
    /// Of those that run already by what is observed, what was said of them holds until their probes
    /// have answered: another agent has started them.
    pub fn add_pod(&self, pod: &Arc<Pod>, observed: &ObservedPod) {
        self.shared.add(pod, observed);
    }

    /// Ends the probes of a pod that could have its containers restarted, for it is being ended.
    pub fn stop_liveness_and_startup(&self, uid: &PodUid) {
        self.shared
            .stop(|key| key.pod == *uid && key.kind != ProbeKind::Readiness);
    }

    /// Ends the probes of a pod, and forgets their results.
    pub fn remove_pod(&self, uid: &PodUid) {
        self.shared.remove(|pod| pod == uid);
    }

    /// Ends the probes of all pods but these, and forgets their results.
    pub fn cleanup_pods(&self, wanted: &HashSet<PodUid>) {
        self.shared.cleanup(wanted);
    }

    /// Has the readiness probes of a pod asked at once that have not succeeded, instead of at the
    /// end of their periods: something has changed.
    ///
    /// Answers to the manual trigger in kubelet's `UpdatePodStatus`; call it after each new status.
    pub fn prompt(&self, uid: &PodUid) {
        self.shared.prompt(uid);
    }

    /// How many probes there are.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there are no probes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ProbeResults for ProbeManager {
    fn result(&self, kind: ProbeKind, id: &ContainerId) -> Option<ProbeOutcome> {
        self.shared.result(kind, id)
    }
}

impl<A: Ask> ProbeDriver<A> {
    /// Runs the workers until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all workers at once.
    pub async fn run(mut self, token: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        let mut tasks = JoinSet::new();
        let work = async {
            loop {
                for ticket in shared.take_wanted() {
                    if let Some(worker) = self.worker(ticket) {
                        tasks.spawn(worker.run());
                    }
                }
                tokio::select! {
                    () = shared.wanted.notified() => {}
                    Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                        if let Err(error) = ended {
                            tracing::error!(%error, "a probe worker has died");
                        }
                    }
                }
            }
        };
        let _: Option<()> = token.run_until_cancelled(work).await;
        tasks.shutdown().await;
    }

    fn worker(&mut self, ticket: Ticket) -> Option<Worker<A>> {
        let pod = Arc::clone(&ticket.pod);
        let container = containers(&pod).find(|it| it.spec.name == ticket.key.container)?;
        let kind = ticket.key.kind;
        let probe = kind.of(&container.spec)?;
        let period = ProbeEngine::period(probe);
        let (inherited, asked_at) = (ticket.inherited.clone(), ticket.asked_at);
        let engine = ProbeEngine::new(kind, &pod, &container, probe, inherited, asked_at);
        Some(Worker {
            delay: self.first_delay(period),
            ticket,
            engine,
            container: container.spec.clone().into_owned(),
            period,
            prober: Arc::clone(&self.prober),
            statuses: Arc::clone(&self.statuses),
            clock: self.clock.clone(),
            updates: self.updates.clone(),
            shared: Arc::clone(&self.shared),
        })
    }

    /// Right after the agent was started, all pods come at once: their probes are spread.
    fn first_delay(&mut self, period: Duration) -> Duration {
        let age = self.agent_started_at.map(|at| at.elapsed());
        match age.is_some_and(|age| period > age) {
            true => period.mul_f64(self.random.f64()),
            false => Duration::ZERO,
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for ProbeDriver<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeDriver")
            .field("prober", &self.prober)
            .field("agent_started_at", &self.agent_started_at)
            .finish_non_exhaustive()
    }
}
