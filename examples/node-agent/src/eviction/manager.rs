use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    EvictionEngine, EvictionError, EvictionHost, MetThreshold, PodUsage, Pressure,
    eviction_message, local_storage_excess, rank,
};
use crate::config::Threshold;
use crate::event::{EventRecorder, pod_reference};
use crate::pod::{FAILED, PodUid, is_critical};
use crate::status::Eviction;
use crate::worker::{Kill, KillCause};

/// How long a pod is given that is in the way of others.
const GRACE: Duration = Duration::from_secs(1);

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

/// Which pods could be evicted: those that have not ended and are not about to.
type ActivePods = Arc<dyn Fn() -> Vec<Arc<Pod>> + Send + Sync>;

/// The conditions of pressure that the node is in, as they were last found out.
///
/// Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct NodePressure {
    pressures: Arc<Mutex<BTreeSet<Pressure>>>,
}

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
/// Answers to `eviction.Manager` of Kubernetes 1.36.
pub struct EvictionManager<H> {
    host: H,
    engine: EvictionEngine,
    period: Duration,
    pressure: NodePressure,
    active_pods: ActivePods,
    kill: KillPod,
    events: EventRecorder,
    node: ObjectReference,
    clock: Clock,
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

impl NodePressure {
    /// Whether the node is in a condition.
    pub fn has(&self, pressure: Pressure) -> bool {
        self.pressures.lock().contains(&pressure)
    }

    /// Why the node does not take a pod, if it does not: the reason and the message of its status.
    ///
    /// Answers to the eviction manager's `Admit`.
    pub fn refusal(&self, pod: &Pod) -> Option<(&'static str, String)> {
        let pressures = self.pressures.lock();
        // A node that lacks only memory takes more pods than one that lacks anything else.
        let admits = pressures.iter().all(|pressure| pressure.admits(pod));
        let names: Vec<_> = pressures.iter().map(|it| it.as_str()).collect();
        let names = names.join(" ");
        (!admits).then(|| (EVICTED, format!("The node had condition: [{names}]. ")))
    }

    fn set(&self, pressures: BTreeSet<Pressure>) {
        *self.pressures.lock() = pressures;
    }
}

impl<H: EvictionHost> EvictionManager<H> {
    /// A manager of this host that ends pods by `kill`, and the conditions that it finds.
    pub fn new(
        host: H,
        options: &EvictionOptions,
        active_pods: impl Fn() -> Vec<Arc<Pod>> + Send + Sync + 'static,
        kill: KillPod,
        events: EventRecorder,
        node: ObjectReference,
        clock: Clock,
    ) -> (NodePressure, Self) {
        let pressure = NodePressure::default();
        let manager = Self {
            host,
            engine: EvictionEngine::new(&options.thresholds, options.transition),
            period: options.period,
            pressure: pressure.clone(),
            active_pods: Arc::new(active_pods),
            kill,
            events,
            node,
            clock,
        };
        (pressure, manager)
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
    /// If the node cannot be observed.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Self::run).
    pub async fn synchronize(&mut self) -> Result<Vec<PodUid>, EvictionError> {
        let mut pods = (self.active_pods)();
        let observations = self.host.observe().await?;
        let now = self.clock.now();
        let met = self.engine.observe(&observations, now);
        self.pressure.set(self.engine.pressures(now));

        let usages = match self.host.usages(&pods).await {
            Ok(usages) => usages,
            // Pods can be ranked without, if they must.
            Err(error) => {
                tracing::warn!(%error, "nobody knows what pods use");
                HashMap::new()
            }
        };
        let over_limits = self.evict_over_limits(&pods, &usages);
        let Some(met) = met.first().filter(|_| over_limits.is_empty()) else {
            return Ok(over_limits);
        };
        let starved = met.signal.starved();
        self.events.warning(
            &self.node,
            "EvictionThresholdMet",
            format!("Attempting to reclaim {starved}"),
        );
        if met.signal.pressure() == Pressure::Disk {
            self.host.reclaim(met.signal).await;
            let observations = self.host.observe().await?;
            if !self.engine.is_met(met.signal, &observations) {
                return Ok(Vec::new());
            }
        }
        rank(&mut pods, &usages, starved);
        Ok(self.evict_one(&pods, &usages, met).into_iter().collect())
    }

    fn evict_over_limits(
        &self,
        pods: &[Arc<Pod>],
        usages: &HashMap<PodUid, PodUsage>,
    ) -> Vec<PodUid> {
        let mut evicted = Vec::new();
        for pod in pods {
            let usage = usages.get(&PodUid::of(pod));
            if let Some(message) = usage.and_then(|usage| local_storage_excess(pod, usage)) {
                evicted.extend(self.evict(pod, message));
            }
        }
        evicted
    }

    /// Evicts the first pod that can be.
    fn evict_one(
        &self,
        pods: &[Arc<Pod>],
        usages: &HashMap<PodUid, PodUsage>,
        met: &MetThreshold,
    ) -> Option<PodUid> {
        let evicted = pods.iter().find_map(|pod| {
            let message = eviction_message(met, pod, usages.get(&PodUid::of(pod)));
            self.evict(pod, message)
        });
        if evicted.is_none() {
            let signal = met.signal.as_str();
            tracing::error!(signal, "the node runs out, and no pod can be evicted");
        }
        evicted
    }

    /// Evicts a pod, unless the system needs it.
    fn evict(&self, pod: &Arc<Pod>, message: String) -> Option<PodUid> {
        if is_critical(pod) {
            return None;
        }
        self.events
            .warning(&pod_reference(pod), EVICTED, message.clone());
        let status = Eviction {
            reason: EVICTED.to_owned(),
            message,
        };
        let kill = Kill {
            cause: KillCause::Evicted,
            grace: Some(GRACE),
            status: Some(status),
            waiter: None,
        };
        (self.kill)(pod, kill);
        Some(PodUid::of(pod))
    }
}

impl<H: fmt::Debug> fmt::Debug for EvictionManager<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictionManager")
            .field("host", &self.host)
            .field("engine", &self.engine)
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}
