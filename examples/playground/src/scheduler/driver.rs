use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube_client::Client;
use kubewright_cache::{Index, KubeListerWatcher, StoreError};
use kubewright_clock::Clock;
use kubewright_controller::{
    Controller, ControllerConfig, EventRecorder, EventWriter, RecorderConfig, Request, Source,
};
use kubewright_informer::{InformerConfig, SharedInformer};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::bind::Binder;
use super::logic::{Logic, PENDING};
use super::pending::is_pending;

/// The scheduler with all it needs to run: two informers, a queue and a worker.
///
/// One worker: decisions are made one after the other, so that no two of them give the same room
/// away.
pub struct Scheduler {
    pods: SharedInformer<Pod>,
    nodes: SharedInformer<Node>,
    logic: Arc<Logic>,
    controller: Controller,
    events: EventWriter<Client>,
}

/// Why a scheduler cannot be made, or ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// An informer.
    #[error("an informer of the scheduler failed")]
    Informer(#[from] kubewright_informer::Error),
    /// The reconcile loop.
    #[error("the scheduler's reconcile loop ended badly")]
    Controller(#[from] kubewright_controller::Error),
    /// A cache.
    #[error("a cache of the scheduler could not be indexed")]
    Store(#[from] StoreError),
}

impl Scheduler {
    /// The scheduler of the cluster behind `client`. Nothing happens before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// None in practice: informers and caches are as usual.
    pub fn new(client: &Client, clock: Clock) -> Result<Self, SchedulerError> {
        let pods = KubeListerWatcher::<Pod>::all(client.clone());
        let pods = SharedInformer::new("pods", pods, InformerConfig::default())?;
        let nodes = KubeListerWatcher::<Node>::all(client.clone());
        let nodes = SharedInformer::new("nodes", nodes, InformerConfig::default())?;
        let pending = Index::on_object(|pod: &Pod| match is_pending(pod) {
            true => vec![PENDING.to_owned()],
            false => Vec::new(),
        });
        pods.store().add_index(PENDING, pending)?;
        let mut config = RecorderConfig::of("default-scheduler");
        config.clock = clock.clone();
        let (recorder, events) = EventRecorder::new(client.clone(), &config);
        let logic = Arc::new(Logic {
            pods: pods.store().clone(),
            nodes: nodes.store().clone(),
            binder: Binder::new(client.clone(), clock),
            events: recorder,
            assumed: Mutex::default(),
        });
        let (on_pod, on_node) = (Arc::clone(&logic), Arc::clone(&logic));
        let controller = Controller::new("scheduler", ControllerConfig::default())
            .watches(Source::new(&pods), move |event, enqueue| {
                on_pod.on_pod(event, enqueue);
            })
            .watches(Source::new(&nodes), move |event, enqueue| {
                on_node.on_node(event, enqueue);
            });
        Ok(Self {
            pods,
            nodes,
            logic,
            controller,
            events,
        })
    }

    /// Schedules pods until the token is cancelled. All tasks are joined.
    ///
    /// # Errors
    ///
    /// The caches did not fill in time, or a decision could not be carried out in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops everything at once; a binding under way is made or it is not.
    pub async fn run(self, token: CancellationToken) -> Result<(), SchedulerError> {
        let Self {
            pods,
            nodes,
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
        let (ended, pods, nodes, ()) = tokio::join!(
            controller,
            pods.run(rest.clone()),
            nodes.run(rest.clone()),
            events.run(rest.clone()),
        );
        pods?;
        nodes?;
        Ok(ended?)
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("controller", &self.controller)
            .finish_non_exhaustive()
    }
}
