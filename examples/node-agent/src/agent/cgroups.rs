use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubewright_quantity::Quantity;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::AgentError;
use super::handler::Handler;
use super::told::Told;
use crate::config::{Config, RuntimeKind};
use crate::event::node_reference;
use crate::node::{NodeFacts, allocatable, capacity};
use crate::pod::PodUid;
use crate::resources::{
    CgroupHierarchy, CgroupLimits, CgroupName, PodCgroups, ResourceSettings, node_limits,
};
use crate::runtime::ObservedPod;

/// How often it is tried to remove the cgroup of a pod: what was killed takes a moment to go.
const TRIES: u32 = 5;
/// How long it is waited after the first try; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The cgroups of pods, made and removed where it may wait for the kernel. Of an agent that has
/// nothing to do with cgroups, it does nothing.
///
/// Cheap to clone; clones are the same.
#[derive(Clone)]
pub(super) struct Cgroups {
    pods: Option<Arc<PodCgroups>>,
    node: CgroupLimits,
    changed: Arc<Notify>,
    /// Whose cgroup cannot be removed.
    stuck: Arc<Told>,
}

impl Cgroups {
    pub(super) fn new(
        hierarchy: Option<CgroupHierarchy>,
        config: &Config,
        facts: &NodeFacts,
    ) -> Self {
        let memory = i64::try_from(facts.machine.memory).unwrap_or(i64::MAX);
        let period = config.cpu_cfs_quota.then_some(config.cpu_cfs_quota_period);
        let settings = ResourceSettings::new(memory).with_quota(period);
        let root = CgroupName::root(config.cgroup_root.as_deref().unwrap_or_default());
        let pids = config.pod_pids_limit.filter(|limit| *limit > 0);
        let pids = pids.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let pods = hierarchy.map(|hierarchy| PodCgroups::new(hierarchy, root, settings, pids));
        Self {
            pods: pods.map(Arc::new),
            node: limits(config, facts),
            changed: Arc::default(),
            stuck: Arc::default(),
        }
    }

    /// Makes those that the pods' are in.
    pub(super) async fn set_up(&self) -> Result<(), AgentError> {
        let made = self.run(PodCgroups::set_up).await;
        made.map_err(AgentError::Cgroups)
    }

    /// Limits all pods together.
    pub(super) async fn limit_node(&self) -> io::Result<()> {
        let limits = self.node;
        self.run(move |cgroups| cgroups.limit_node(&limits)).await
    }

    /// Gives classes the shares that these pods amount to.
    pub(super) async fn share(&self, pods: Vec<Arc<Pod>>) {
        let pods = move |cgroups: &PodCgroups| cgroups.share(pods.iter().map(AsRef::as_ref));
        if let Err(error) = self.run(pods).await {
            tracing::warn!(%error, "the cgroups of classes of pods are not sized");
        }
    }

    /// Says that other pods run than before: classes are to be sized soon.
    pub(super) fn pods_changed(&self) {
        self.changed.notify_one();
    }

    /// Whether a pod runs outside of its cgroup: an agent that was set up otherwise has started it.
    pub(super) async fn is_outside(&self, pod: &Arc<Pod>, observed: &ObservedPod) -> bool {
        if !observed.is_running() {
            return false;
        }
        let pod = pod.clone();
        let looked = self.run(move |cgroups| Ok(!cgroups.exists(&pod))).await;
        looked.unwrap_or_default()
    }

    /// Makes and sizes the cgroup of a pod.
    pub(super) async fn ensure(&self, pod: &Arc<Pod>) -> io::Result<()> {
        let pod = pod.clone();
        let ensure = move |cgroups: &PodCgroups| {
            let is_new = !cgroups.exists(&pod);
            cgroups.ensure(&pod).map(|()| is_new)
        };
        if self.run(ensure).await? {
            self.pods_changed();
        }
        Ok(())
    }

    /// Removes the cgroup of a pod whose containers have ended, and kills what is left in it.
    pub(super) async fn remove(&self, pod: &Arc<Pod>) -> io::Result<()> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            let pod = pod.clone();
            match self.run(move |cgroups| cgroups.remove(&pod)).await {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => sleep(wait).await,
                removed => return removed,
            }
            wait *= 2;
        }
        let pod = pod.clone();
        self.run(move |cgroups| cgroups.remove(&pod)).await
    }

    /// The cgroups of pods that there are.
    pub(super) async fn all(&self) -> io::Result<BTreeSet<(PodUid, CgroupName)>> {
        self.run(PodCgroups::all).await
    }

    /// Removes cgroups that belong to no pod, and kills what is in them. One whose volumes are there
    /// still has to wait, with the least of the CPU: what is kept in memory is counted there.
    ///
    /// Answers to kubelet's `cleanupOrphanedPodCgroups`.
    pub(super) async fn remove_orphans(
        &self,
        orphans: Vec<(PodUid, CgroupName)>,
        has_volumes: impl Fn(&PodUid) -> bool,
    ) {
        let uids: BTreeSet<_> = orphans.iter().map(|(uid, _)| uid.clone()).collect();
        self.stuck.retain(|uid| uids.contains(uid));
        for (uid, name) in orphans {
            let has_volumes = has_volumes(&uid);
            tracing::debug!(%uid, cgroup = %name, has_volumes, "a cgroup belongs to no pod");
            let removed = self.run(move |cgroups| match has_volumes {
                true => cgroups.starve(&name),
                false => cgroups.remove_named(&name),
            });
            match removed.await {
                // What was killed is gone by the next round.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) if self.stuck.is_first(&uid) => {
                    tracing::warn!(%uid, %error, "a cgroup of no pod cannot be removed");
                }
                Err(error) => tracing::debug!(%uid, %error, "a cgroup of no pod is still there"),
                Ok(()) if has_volumes => {}
                Ok(()) => tracing::info!(%uid, "a cgroup of no pod was removed"),
            }
        }
    }

    async fn run<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&PodCgroups) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let Some(pods) = self.pods.clone() else {
            return Ok(T::default());
        };
        match tokio::task::spawn_blocking(move || work(&pods)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Keeps the cgroups of all pods and of classes as large as they should be.
///
/// Answers to kubelet's `enforceNodeAllocatableCgroups` and to the `Start` of its
/// `qosContainerManager`.
pub(super) async fn keep(handler: Arc<Handler>, period: Duration, stop: CancellationToken) {
    let cgroups = handler.parts.cgroups.clone();
    if cgroups.pods.is_none() {
        handler.tell_that_nothing_is_enforced();
        return;
    }
    let work = async {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_limited = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    is_limited = is_limited || handler.limit_node().await;
                }
                () = cgroups.changed.notified() => {}
            }
            cgroups.share(handler.active_pods(None)).await;
        }
    };
    stop.run_until_cancelled(Box::pin(work)).await;
}

impl Handler {
    /// Limits all pods together, and tells people about it; whether it could be done. It cannot
    /// while they use more than that.
    async fn limit_node(&self) -> bool {
        let parts = &self.parts;
        let node = node_reference(&parts.config.node_name);
        match parts.cgroups.limit_node().await {
            Ok(()) => {
                let message = "Updated Node Allocatable limit across pods";
                parts
                    .events
                    .normal(&node, "NodeAllocatableEnforced", message);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the limits of all pods together are not set");
                let message = format!("Failed to update Node Allocatable Limits: {error}");
                parts
                    .events
                    .warning(&node, "FailedNodeAllocatableEnforcement", message);
                false
            }
        }
    }

    /// Somebody may count on limits that are not there.
    fn tell_that_nothing_is_enforced(&self) {
        let config = &self.parts.config;
        if config.runtime == RuntimeKind::Process || !config.enforce_node_allocatable {
            return;
        }
        let message = "The cgroups of pods are left to the container runtime: their limits as a \
                       whole are not enforced";
        let node = node_reference(&config.node_name);
        self.parts
            .events
            .warning(&node, "FailedNodeAllocatableEnforcement", message);
    }
}

/// What all pods together may have: what is not reserved, or all there is if that is not enforced.
/// What has to be left before pods are evicted is theirs, too.
fn limits(config: &Config, facts: &NodeFacts) -> CgroupLimits {
    let mut amounts = capacity(&facts.machine, None, facts.max_pods);
    if let Some(pids) = facts.machine.max_pids {
        let pids = i64::try_from(pids).unwrap_or(i64::MAX);
        amounts.insert("pid".to_owned(), Quantity::whole(pids));
    }
    if config.enforce_node_allocatable {
        amounts = allocatable(&amounts, &facts.reservations.absolute());
    }
    node_limits(&amounts)
}
