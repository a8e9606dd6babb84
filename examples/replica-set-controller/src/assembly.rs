use std::num::NonZeroUsize;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube_client::Client;
use kubewright_cache::{KubeListerWatcher, ListerWatcher, StoreError};
use kubewright_clock::Clock;
use kubewright_controller::{
    Controller, ControllerConfig, EventRecorder, EventWriter, RecorderConfig, Request,
    RequestQueue, Source,
};
use kubewright_informer::{HandlerConfig, InformerConfig, Mailbox, SharedInformer};
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::cluster::{Cluster, LiveCluster};
use crate::config::Config;
use crate::controller::ReplicaSetController;

/// The controller with all it needs to run: two informers, a queue and workers.
#[derive(Debug)]
pub struct Assembly<C> {
    sets: SharedInformer<ReplicaSet>,
    pods: SharedInformer<Pod>,
    logic: Arc<ReplicaSetController<C>>,
    controller: Controller,
    events: Option<EventWriter<Client>>,
}

impl Assembly<LiveCluster> {
    /// The controller of all sets of the cluster behind `client`.
    ///
    /// # Errors
    ///
    /// As of [`Assembly::of`].
    pub fn new(client: &Client, config: Config, clock: Clock) -> Result<Self, AssemblyError> {
        let mut events = RecorderConfig::of("replicaset-controller");
        events.clock = clock.clone();
        let (recorder, writer) = EventRecorder::new(client.clone(), &events);
        let assembly = Self::of(
            KubeListerWatcher::<ReplicaSet>::all(client.clone()),
            KubeListerWatcher::<Pod>::all(client.clone()),
            LiveCluster::new(client.clone(), recorder, config.request_timeout),
            config,
            clock,
        )?;
        Ok(Self {
            events: Some(writer),
            ..assembly
        })
    }
}

impl<C: Cluster> Assembly<C> {
    /// The controller of the sets and pods that come from two sources.
    ///
    /// # Errors
    ///
    /// [`AssemblyError`], for a configuration that makes no sense.
    pub fn of(
        sets: impl ListerWatcher,
        pods: impl ListerWatcher,
        cluster: C,
        config: Config,
        clock: Clock,
    ) -> Result<Self, AssemblyError> {
        let sets = SharedInformer::new("replicasets", sets, InformerConfig::default())?;
        let pods = SharedInformer::new("pods", pods, InformerConfig::default())?;
        let caches = Caches::new(sets.store().clone(), pods.store().clone())?;
        let logic = Arc::new(ReplicaSetController::new(cluster, caches, config, clock));
        let (on_set, on_pod) = (Arc::clone(&logic), Arc::clone(&logic));
        let controller = Controller::new("replicaset", controller_config(&logic))
            .watches(Source::new(&sets), move |event, enqueue| {
                on_set.on_set(event, enqueue);
            })
            .watches(every_event(&pods), move |event, enqueue| {
                on_pod.on_pod(event, enqueue);
            });
        Ok(Self {
            sets,
            pods,
            logic,
            controller,
            events: None,
        })
    }

    /// What is run.
    pub const fn logic(&self) -> &Arc<ReplicaSetController<C>> {
        &self.logic
    }

    /// The queue of sets to sync.
    pub const fn queue(&self) -> &RequestQueue {
        self.controller.queue()
    }

    /// Runs until the token is cancelled: the informers, and once they are in sync the workers.
    ///
    /// Syncs under way are finished, then the informers stop and the last events are written.
    /// All tasks are joined.
    ///
    /// # Errors
    ///
    /// [`RunError`]: the caches did not fill in time, or a sync did not end in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops everything at once.
    pub async fn run(self, token: CancellationToken) -> Result<(), RunError> {
        let Self {
            sets,
            pods,
            logic,
            controller,
            events,
        } = self;
        let reconcile = move |request: Request| {
            let logic = Arc::clone(&logic);
            async move { logic.reconcile(request).await }
        };
        // What the controller stands on goes on until it has stopped.
        let rest = CancellationToken::new();
        let controller = async {
            let ended = controller.run(reconcile, token).await;
            rest.cancel();
            ended
        };
        let events = async {
            if let Some(events) = events {
                events.run(rest.clone()).await;
            }
        };
        let (ended, sets, pods, ()) = tokio::join!(
            controller,
            sets.run(rest.clone()),
            pods.run(rest.clone()),
            events,
        );
        sets?;
        pods?;
        Ok(ended?)
    }
}

fn controller_config<C: Cluster>(logic: &ReplicaSetController<C>) -> ControllerConfig {
    let mut config = ControllerConfig::default();
    config.concurrency = logic.config.workers;
    config.metrics = Some(Arc::clone(&logic.metrics) as _);
    config.queue.metrics = Some(Arc::clone(&logic.metrics) as _);
    if logic.config.gates.stale_controller_consistency {
        config.own_writes = Some(logic.own_writes.clone());
    }
    config
}

/// Expectations are met by each single creation and deletion, so none may be left out because
/// another came soon after.
fn every_event(pods: &SharedInformer<Pod>) -> Source<Pod> {
    let capacity = NonZeroUsize::new(10_000).expect("ten thousand is not zero");
    let mut handler = HandlerConfig::default();
    handler.mailbox = Mailbox::Lossless { capacity };
    Source::new(pods).handler(handler)
}

/// Why the controller could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// An informer could not be made.
    #[error("an informer could not be made")]
    Informer(#[from] kubewright_informer::Error),
    /// A cache could not be indexed.
    #[error("a cache could not be indexed")]
    Store(#[from] StoreError),
}

/// Why the controller ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An informer ended badly.
    #[error("an informer ended badly")]
    Informer(#[from] kubewright_informer::Error),
    /// The reconcile loop ended badly.
    #[error("the reconcile loop ended badly")]
    Controller(#[from] kubewright_controller::Error),
}
