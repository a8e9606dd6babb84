use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Node;
use kube_client::api::{Api, Patch, PatchParams};
use kube_client::{Client, Error};
use kubewright_clock::Clock;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::facts::{ARCH_LABEL, OS_LABEL};
use super::registration::{register_in_time, waits};
use super::{
    NodeFacts, NodeNews, NodeObserver, NodeWatch, ReportSchedule, initial_node, status_has_changed,
    update_status,
};
use crate::client::HeartbeatClient;
use crate::config::Config;
use crate::event::EventRecorder;
use crate::patch::{canonical, strategic};

/// How often an update is tried.
const TRIES: u32 = 5;
/// By how much the time between two updates is longer, at most.
const JITTER: f64 = 0.04;
/// How often it is seen whether the node is ready for the first time, and for how long.
const FAST_PERIOD: Duration = Duration::from_millis(100);
const FAST_LIMIT: Duration = Duration::from_secs(120);

/// How a node's status is reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReporterConfig {
    /// Whether the node is registered. Default: true.
    pub register: bool,
    /// How often the status is computed. Default: 10 s.
    pub update_frequency: Duration,
    /// How often it is written though nothing is new. Default: 5 min.
    pub report_frequency: Duration,
    /// The wall clock. Default: the system's.
    pub clock: Clock,
    /// What random times are made of. Default: 0.
    pub seed: u64,
}

impl ReporterConfig {
    /// What a configuration asks for.
    pub fn of(config: &Config, clock: Clock, seed: u64) -> Self {
        Self {
            register: config.register_node,
            update_frequency: config.node_status_update_frequency,
            report_frequency: config.node_status_report_frequency,
            clock,
            seed,
        }
    }
}

impl Default for ReporterConfig {
    fn default() -> Self {
        Self {
            register: true,
            update_frequency: Duration::from_secs(10),
            report_frequency: Duration::from_secs(300),
            clock: Clock::system(),
            seed: 0,
        }
    }
}

/// Tells the container runtime the ranges of the addresses of the node's pods, as `10.0.0.0/24`,
/// of two families with a comma between.
pub type TellPodCidrs =
    Box<dyn Fn(String) -> BoxFuture<'static, Result<(), kubewright_cri::Error>> + Send + Sync>;

/// Registers a node, and keeps its status in the API server up to date.
///
/// # Guarantees
///
/// - The status is computed every 10 s, and written if it says something new or was not written for
///   long. As soon as the node is ready for the first time that is told at once.
/// - An update that fails is tried five times; from the second failure on with new connections.
/// - Events tell what a status that was written says that the one before did not.
/// - Once somebody has given the node a range of addresses for its pods, the runtime is told.
///
/// Answers to kubelet's `syncNodeStatus` and `fastStatusUpdateOnce`.
#[must_use = "nothing is reported unless the reporter runs"]
pub struct NodeReporter<O> {
    client: Client,
    heartbeat: HeartbeatClient,
    observer: O,
    recorder: EventRecorder,
    config: ReporterConfig,
    state: State,
}

struct State {
    facts: NodeFacts,
    watch: Option<NodeWatch>,
    tell_pod_cidrs: Option<TellPodCidrs>,
    /// Those that the runtime was told.
    told_pod_cidrs: String,
    schedule: ReportSchedule,
    random: fastrand::Rng,
    was_unschedulable: bool,
    /// Whether the node is not ready by what was written last.
    is_unready: bool,
}

impl<O: NodeObserver> NodeReporter<O> {
    /// A reporter of a node; it is registered by the first client, and updated by the second.
    pub fn new(
        client: Client,
        heartbeat: HeartbeatClient,
        facts: NodeFacts,
        observer: O,
        recorder: EventRecorder,
        config: ReporterConfig,
    ) -> Self {
        let state = State {
            facts,
            watch: None,
            tell_pod_cidrs: None,
            told_pod_cidrs: String::new(),
            schedule: ReportSchedule::new(config.report_frequency),
            random: fastrand::Rng::with_seed(config.seed),
            was_unschedulable: false,
            is_unready: false,
        };
        Self {
            client,
            heartbeat,
            observer,
            recorder,
            config,
            state,
        }
    }

    /// Takes the node from a watch in the first try of each update, so that the API server is not
    /// asked for what is known.
    pub fn with_watch(mut self, watch: NodeWatch) -> Self {
        self.state.watch = Some(watch);
        self
    }

    /// Has the runtime told of the addresses of pods. Without this nobody is.
    ///
    /// Runtimes that make the configuration of their network by a template wait for it.
    pub fn with_pod_cidrs(mut self, tell: TellPodCidrs) -> Self {
        self.state.tell_pod_cidrs = Some(tell);
        self
    }

    /// Reports until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the reports at once. A request under way may still take effect.
    pub async fn run(self, token: CancellationToken) {
        token.run_until_cancelled(self.report()).await;
    }

    async fn report(mut self) {
        if self.config.register {
            self.register().await;
        }
        let fast_until = Instant::now() + FAST_LIMIT;
        let mut is_fast = true;
        loop {
            if let Err(error) = self.update().await {
                tracing::error!(%error, "the status of the node could not be updated");
            }
            let jitter = 1.0 + JITTER * self.state.random.f64();
            let next = sleep(self.config.update_frequency.mul_f64(jitter));
            tokio::select! {
                () = next => {}
                () = self.becomes_ready(fast_until), if is_fast && self.state.is_unready => {
                    is_fast = false;
                }
            }
        }
    }

    /// Answers to kubelet's `registerWithAPIServer`.
    async fn register(&self) {
        let api = Api::all(self.client.clone());
        let node = self.state.facts.node_name.as_str();
        for wait in waits() {
            sleep(wait).await;
            let observation = self.observer.observe().await;
            let now = self.config.clock.now();
            let initial = initial_node(&self.state.facts, &observation, now);
            match register_in_time(&api, &initial).await {
                Ok(()) => {
                    tracing::info!(node, "the node is registered");
                    return;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(node, %error, cause, "the node is not registered yet");
                }
            }
        }
    }

    /// Waits until nothing keeps the node from being ready.
    async fn becomes_ready(&self, until: Instant) {
        while Instant::now() < until {
            sleep(FAST_PERIOD).await;
            if self.observer.problems().is_empty() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Updates the status, and tries again if it fails.
    async fn update(&mut self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            match self.try_update(tries == 0).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tries += 1;
                    if tries > 1 {
                        self.heartbeat.reconnect();
                    }
                    if tries == TRIES {
                        return Err(error);
                    }
                    tracing::warn!(%error, tries, "the status of the node is tried again");
                }
            }
        }
    }

    /// Answers to kubelet's `tryUpdateNodeStatus`.
    async fn try_update(&mut self, may_be_stale: bool) -> Result<(), Error> {
        let api: Api<Node> = Api::all(self.heartbeat.client());
        let name = self.state.facts.node_name.clone();
        let watch = self.state.watch.as_ref().filter(|_| may_be_stale);
        let known = watch.and_then(NodeWatch::node);
        let old = match known {
            Some(node) => Node::clone(&node),
            None => api.get(&name).await?,
        };
        self.state.tell_pod_cidrs(&old).await;
        let mut new = old.clone();
        let observation = self.observer.observe().await;
        let state = &mut self.state;
        let mut news = update_status(
            &mut new,
            &state.facts,
            &observation,
            self.config.clock.now(),
        );
        let (old_status, new_status) = (
            old.status.clone().unwrap_or_default(),
            new.status.unwrap_or_default(),
        );
        let is_new = status_has_changed(&old_status, &new_status);
        if is_new || self.state.schedule.is_due(Instant::now()) {
            let (old, new) = (canonical(&old_status), canonical(&new_status));
            if let Some(status) = strategic(&old, &new) {
                let patch = Patch::Strategic(json!({"status": status}));
                api.patch_status(&name, &PatchParams::default(), &patch)
                    .await?;
            }
            let state = &mut self.state;
            let chance = is_new.then(|| state.random.f64());
            state.schedule.reported(Instant::now(), chance);
        }
        if let Err(error) = self.keep_labels(&api, &old).await {
            // It may be that only its status is the agent's to write.
            tracing::warn!(%error, "the node cannot have its labels back");
        }
        self.state.is_unready = !observation.problems.is_empty();
        news.extend(self.schedulability(&old));
        for event in news {
            event.record(&self.recorder, &name);
        }
        Ok(())
    }

    /// Puts back the labels that no node is without.
    async fn keep_labels(&self, api: &Api<Node>, node: &Node) -> Result<(), Error> {
        let wanted = self.state.facts.all_labels();
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let is_lost = |label: &&str| labels.get(*label) != wanted.get(*label);
        let lost = [OS_LABEL, ARCH_LABEL].into_iter().filter(is_lost);
        let lost: serde_json::Map<_, _> = lost
            .map(|label| (label.to_owned(), json!(wanted.get(label))))
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let patch = Patch::Strategic(json!({"metadata": {"labels": lost}}));
        let params = PatchParams::default();
        api.patch(&self.state.facts.node_name, &params, &patch)
            .await?;
        Ok(())
    }

    /// Whether others have changed whether pods are bound to the node.
    fn schedulability(&mut self, node: &Node) -> Option<NodeNews> {
        let spec = node.spec.as_ref();
        let is_unschedulable = spec.and_then(|spec| spec.unschedulable).unwrap_or_default();
        let was = std::mem::replace(&mut self.state.was_unschedulable, is_unschedulable);
        let reason = if is_unschedulable {
            "NodeNotSchedulable"
        } else {
            "NodeSchedulable"
        };
        let name = &self.state.facts.node_name;
        (was != is_unschedulable).then(|| NodeNews::status(name, reason))
    }
}

impl State {
    /// Tells the runtime of the addresses of pods, if it was not told. What fails is tried again
    /// with the next update.
    ///
    /// Answers to kubelet's `updatePodCIDR`.
    async fn tell_pod_cidrs(&mut self, node: &Node) {
        let Some(tell) = &self.tell_pod_cidrs else {
            return;
        };
        let cidrs = node.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_ref());
        let cidrs = cidrs.map(|cidrs| cidrs.join(",")).unwrap_or_default();
        if cidrs.is_empty() || cidrs == self.told_pod_cidrs {
            return;
        }
        match tell(cidrs.clone()).await {
            Ok(()) => {
                tracing::info!(cidrs, "the runtime was told the addresses of pods");
                self.told_pod_cidrs = cidrs;
            }
            Err(error) => {
                tracing::error!(%error, cidrs, "the runtime cannot be told the addresses of pods");
            }
        }
    }
}

impl<O> std::fmt::Debug for NodeReporter<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeReporter")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
