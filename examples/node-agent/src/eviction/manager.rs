use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::limits::has_local_storage_limit;
use super::{
    EvictionEngine, EvictionError, EvictionHost, MetThreshold, PodUsage, eviction_message,
    local_storage_excess, rank,
};
use crate::config::Threshold;
use crate::event::{EventRecorder, pod_reference};
use crate::node::{NodePressure, Pressure};
use crate::pod::{FAILED, PodUid, is_critical};
use crate::status::Eviction;
use crate::worker::{Kill, KillCause};

/// How long a pod is given that is in the way of others.
const GRACE: Duration = Duration::from_secs(1);

/// How long a pod that was evicted may take to end before another has to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why pods are evicted, in their statuses and in events.
const EVICTED: &str = "Evicted";

/// Whether a pod was evicted, by its status.
pub fn is_evicted(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    status.is_some_and(|status| {
        status.phase.as_deref() == Some(FAILED) && status.reason.as_deref() == Some(EVICTED)
    })
}

/// Ends a pod. It is told, and not waited for.
pub type KillPod = Arc<dyn Fn(&Arc<Pod>, Kill) + Send + Sync>;

/// Which pods are on the node: those that have not ended. Those that are about to, as a pod is that
/// was evicted, are among them as long as they hold what they have.
pub type ActivePods = Arc<dyn Fn() -> Vec<Arc<Pod>> + Send + Sync>;

/// How pods are evicted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvictionOptions {
    /// When, by signal. Default: never.
    pub thresholds: BTreeMap<String, Threshold>,
    /// How long a condition stays after its cause has gone. Default: 5 min.
    pub transition: Duration,
    /// How often the node is looked at. Default: 10 s.
    pub period: Duration,
}

/// Evicts pods when the node runs out of something, one in each period, and those that use more of
/// its disk than they may.
///
/// A pod is evicted once. While it ends nobody else is: what it has may be enough. One that does not
/// end for 30 s is not waited for any longer.
///
/// Answers to `eviction.Manager` of Kubernetes 1.36.
pub struct EvictionManager<H> {
    parts: EvictionParts<H>,
    engine: EvictionEngine,
    period: Duration,
    /// The pods that were evicted and have not ended, by when they were.
    ending: HashMap<PodUid, Instant>,
}

/// What pods are evicted with.
pub struct EvictionParts<H> {
    /// Who looks at the node.
    pub host: H,
    /// Who knows which pods there are.
    pub active_pods: ActivePods,
    /// Who ends one.
    pub kill: KillPod,
    /// Where it is said what the node is short of.
    pub pressure: NodePressure,
    /// Where people are told.
    pub events: EventRecorder,
    /// The node, as events name it.
    pub node: ObjectReference,
}

impl Default for EvictionOptions {
    fn default() -> Self {
        Self {
            thresholds: BTreeMap::new(),
            transition: Duration::from_secs(300),
            period: Duration::from_secs(10),
        }
    }
}

impl<H: EvictionHost> EvictionManager<H> {
    /// A manager that evicts nothing yet.
    pub fn new(parts: EvictionParts<H>, options: &EvictionOptions) -> Self {
        Self {
            engine: EvictionEngine::new(&options.thresholds, options.transition),
            period: options.period,
            ending: HashMap::new(),
            parts,
        }
    }

    /// Looks at the node in each period until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops it; a pod that was to be ended is ended by somebody else.
    pub async fn run(mut self, token: CancellationToken) {
        let period = self.period;
        let work = async {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = self.synchronize().await {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "nobody knows how the node fares");
                }
            }
        };
        let _: Option<()> = token.run_until_cancelled(work).await;
    }

    /// Looks at the node once; the pods that were evicted.
    ///
    /// # Errors
    ///
    /// If the node cannot be observed, or nobody knows what pods use: then none is evicted that
    /// others should have gone before.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Self::run).
    pub async fn synchronize(&mut self) -> Result<Vec<PodUid>, EvictionError> {
        let mut pods = (self.parts.active_pods)();
        let observations = self.parts.host.observe().await?;
        let now = Instant::now();
        let met = self.engine.observe(&observations, now);
        self.parts.pressure.set(self.engine.pressures(now));
        self.ending
            .retain(|uid, _| pods.iter().any(|pod| PodUid::of(pod) == *uid));
        pods.retain(|pod| !self.ending.contains_key(&PodUid::of(pod)));

        let over_limits = self.evict_over_limits(&pods).await?;
        let is_ending = |since: &Instant| now.duration_since(*since) < PATIENCE;
        let makes_room = !over_limits.is_empty() || self.ending.values().any(is_ending);
        let Some(met) = met.first().filter(|_| !makes_room) else {
            return Ok(over_limits);
        };
        let starved = met.signal.starved();
        self.parts.events.warning(
            &self.parts.node,
            "EvictionThresholdMet",
            format!("Attempting to reclaim {starved}"),
        );
        if met.signal.pressure() == Pressure::Disk {
            self.parts.host.reclaim(met.signal).await;
            let observations = self.parts.host.observe().await?;
            if !self.engine.is_met(met.signal, &observations) {
                return Ok(Vec::new());
            }
        }
        let usages = self.parts.host.usages(&pods).await?;
        rank(&mut pods, &usages, starved);
        Ok(self.evict_one(&pods, &usages, met).into_iter().collect())
    }

    async fn evict_over_limits(&mut self, pods: &[Arc<Pod>]) -> Result<Vec<PodUid>, EvictionError> {
        let limited = pods.iter().filter(|pod| has_local_storage_limit(pod));
        let limited: Vec<_> = limited.cloned().collect();
        if limited.is_empty() {
            return Ok(Vec::new());
        }
        // All files of a pod are looked through: nobody is to be asked about who need not be.
        let usages = self.parts.host.usages(&limited).await?;
        let mut evicted = Vec::new();
        for pod in &limited {
            let usage = usages.get(&PodUid::of(pod));
            if let Some(message) = usage.and_then(|usage| local_storage_excess(pod, usage)) {
                let disruption = None;
                evicted.extend(self.evict(pod, message, disruption));
            }
        }
        Ok(evicted)
    }

    /// Evicts the first pod that can be.
    fn evict_one(
        &mut self,
        pods: &[Arc<Pod>],
        usages: &HashMap<PodUid, PodUsage>,
        met: &MetThreshold,
    ) -> Option<PodUid> {
        let evicted = pods.iter().find_map(|pod| {
            let message = eviction_message(met, pod, usages.get(&PodUid::of(pod)));
            let disruption = Some(message.clone());
            self.evict(pod, message, disruption)
        });
        if evicted.is_none() {
            let signal = met.signal.as_str();
            tracing::error!(signal, "the node runs out, and no pod can be evicted");
        }
        evicted
    }

    /// Evicts a pod, unless the system needs it.
    fn evict(
        &mut self,
        pod: &Arc<Pod>,
        message: String,
        disruption: Option<String>,
    ) -> Option<PodUid> {
        if is_critical(pod) {
            return None;
        }
        self.parts
            .events
            .warning(&pod_reference(pod), EVICTED, message.clone());
        let status = Eviction {
            reason: EVICTED.to_owned(),
            message,
            disruption,
        };
        let kill = Kill {
            cause: KillCause::Evicted,
            grace: Some(GRACE),
            status: Some(status),
            waiter: None,
        };
        (self.parts.kill)(pod, kill);
        let uid = PodUid::of(pod);
        self.ending.insert(uid.clone(), Instant::now());
        Some(uid)
    }
}

impl<H: fmt::Debug> fmt::Debug for EvictionManager<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictionManager")
            .field("parts", &self.parts)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<H: fmt::Debug> fmt::Debug for EvictionParts<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictionParts")
            .field("host", &self.host)
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}
