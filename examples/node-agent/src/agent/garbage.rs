use std::sync::Arc;
use std::time::Duration;

use kubewright_cri::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::AgentOptions;
use super::handler::Handler;
use super::parts::Parts;
use crate::event::node_reference;
use crate::eviction::{
    EvictionManager, EvictionOptions, EvictionParts, KillPod, NodeHost, Reclaim,
};
use crate::gc::{
    ContainerGc, ContainerGcOptions, ContainerGcParts, ContainerRemoval, CriImages, ImageGc,
    ImageGcPolicy, InvalidPolicy, LogDirectories, PodStates, Reach,
};
use crate::log::{LogRotation, RotationPolicy};
use crate::node::MachineInfo;
use crate::pod::PodUid;
use crate::runtime::{ContainerId, RuntimeManager};
use crate::status::StatusManager;
use crate::worker::{Subject, UpdateKind, WorkerPool, WorkerUpdate};

/// How many containers may wait to be removed. Those that find no room are collected later.
const WAITING_DELETIONS: usize = 50;

/// Takes dead containers that nobody needs any more, and does not wait for them to be removed.
///
/// Answers to kubelet's `podContainerDeletor`.
#[derive(Clone, Debug)]
pub(super) struct Deletions {
    ids: mpsc::Sender<ContainerId>,
}

impl Deletions {
    /// Where containers are given to be removed, and where they come out.
    pub(super) fn channel() -> (Self, mpsc::Receiver<ContainerId>) {
        let (ids, receiver) = mpsc::channel(WAITING_DELETIONS);
        (Self { ids }, receiver)
    }

    pub(super) fn delete(&self, containers: Vec<ContainerId>) {
        for id in containers {
            if let Err(error) = self.ids.try_send(id) {
                tracing::debug!(%error, "a dead container is left to the garbage collection");
            }
        }
    }
}

/// Starts what takes away in the background what nobody needs: dead containers, images, and what is
/// too long of logs.
///
/// # Errors
///
/// If the policy of images contradicts itself.
///
/// Answers to kubelet's `StartGarbageCollection` and its container log manager.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    handler: &Arc<Handler>,
    machine: &MachineInfo,
    mut deletions: mpsc::Receiver<ContainerId>,
    options: &AgentOptions,
    stop: &CancellationToken,
) -> Result<(), InvalidPolicy> {
    let parts = &handler.parts;
    let runtime = parts.runtime.clone();
    let token = stop.clone();
    tasks.spawn(async move {
        let delete = async {
            while let Some(id) = deletions.recv().await {
                if let Err(error) = RuntimeManager::remove_container(&runtime, &id.id).await {
                    tracing::debug!(container = %id, %error, "a dead container is not removed");
                }
            }
        };
        token.run_until_cancelled(delete).await;
    });

    let config = &parts.config;
    let containers = ContainerGcOptions {
        period: options.container_gc_period,
        ..ContainerGcOptions::default()
    };
    let collector = ContainerGc::new(
        ContainerGcParts {
            runtime: Arc::new(parts.runtime.clone()),
            states: handler.use_of_pods(),
            ready: parts.ready.clone(),
            logs: LogDirectories {
                pods: config.pod_logs_dir.clone(),
                containers: parts.container_logs_dir.clone(),
            },
            clock: parts.clock.clone(),
        },
        containers,
    );
    let ended = collector.clone();
    tasks.spawn(collector.run(stop.clone()));

    let (high, low) = config.image_gc_thresholds;
    let policy = ImageGcPolicy {
        high_threshold: high,
        low_threshold: low,
        min_age: config.image_minimum_age,
        max_age: config.image_maximum_age,
    };
    let images = CriImages::new(parts.images.clone(), parts.runtime.clone());
    let node = node_reference(&config.node_name);
    let images = ImageGc::new(images, policy, parts.events.clone(), node)?;
    let images = images.every(options.image_gc_period);
    tasks.spawn(images.clone().run(stop.clone()));
    tasks.spawn(evict(handler, machine, ended, images, stop.clone()));

    let policy = RotationPolicy {
        max_size: config.container_log_max_size,
        max_files: config.container_log_max_files,
        period: config.container_log_monitor_interval,
        max_workers: config.container_log_max_workers as usize,
    };
    let rotation = LogRotation::new(parts.runtime.runtime().clone(), policy, parts.clock.clone());
    tasks.spawn(rotation.run(stop.clone()));
    Ok(())
}

/// Evicts pods before the node runs out of something; what ended goes first, and images.
fn evict(
    handler: &Arc<Handler>,
    machine: &MachineInfo,
    containers: ContainerGc<RuntimeManager, UseOfPods>,
    images: ImageGc<CriImages<RuntimeManager>>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let parts = &handler.parts;
    let config = &parts.config;
    let reclaim: Reclaim = Arc::new(move |_| {
        let (containers, images) = (containers.clone(), images.clone());
        Box::pin(async move {
            if let Err(error) = containers.collect(Reach::Ended).await {
                tracing::warn!(%error, "dead containers are not collected");
            }
            if let Err(error) = images.remove_unused().await {
                tracing::warn!(%error, "unused images are not removed");
            }
        })
    });
    let host = NodeHost::new(
        parts.runtime.runtime().clone(),
        parts.images.clone(),
        machine,
        config.root_dir.clone(),
        config.pod_logs_dir.clone(),
        reclaim,
    );
    let options = EvictionOptions {
        thresholds: config.eviction_hard.clone(),
        transition: config.eviction_pressure_transition_period,
        ..EvictionOptions::default()
    };
    let active = handler.clone();
    let workers = handler.workers.clone();
    let kill: KillPod = Arc::new(move |pod, kill| {
        workers.update(WorkerUpdate {
            kind: UpdateKind::Kill,
            subject: Subject::Configured {
                pod: pod.clone(),
                mirror: None,
            },
            kill: Some(kill),
        });
    });
    let eviction = EvictionParts {
        host,
        active_pods: Arc::new(move || active.active_pods(None)),
        kill,
        pressure: handler.pressure.clone(),
        events: parts.events.clone(),
        node: node_reference(&config.node_name),
    };
    EvictionManager::new(eviction, &options).run(stop)
}

/// Says which pods are of use: what the runtime has of one is as long as it is the only one to know
/// how its containers ended, should this agent be killed.
pub(super) struct UseOfPods {
    pub(super) workers: WorkerPool,
    pub(super) statuses: StatusManager,
}

impl PodStates for UseOfPods {
    fn should_pod_content_be_removed(&self, uid: &PodUid) -> bool {
        self.workers.should_pod_content_be_removed(uid) && !self.statuses.is_untold(uid)
    }

    fn should_pod_runtime_be_removed(&self, uid: &PodUid) -> bool {
        self.workers.should_pod_runtime_be_removed(uid)
    }
}

impl ContainerRemoval for RuntimeManager {
    async fn remove_container(&self, id: &str) -> Result<(), Error> {
        Self::remove_container(self, id).await
    }

    async fn remove_sandbox(&self, id: &str) -> Result<(), Error> {
        self.delete_sandbox(id).await
    }
}

/// Asks the runtime again and again how it is.
///
/// Answers to kubelet's `updateRuntimeUp`.
pub(super) async fn update_runtime_up(
    parts: Arc<Parts>,
    period: Duration,
    stop: CancellationToken,
) {
    let ask = async {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let status = parts.runtime.runtime().status().await;
            parts.health.observe(Instant::now(), status.as_ref());
        }
    };
    stop.run_until_cancelled(ask).await;
}
