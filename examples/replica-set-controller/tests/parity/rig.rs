//! The controller with everything around it replaced: the seam through which the tests drive it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Certainty, Event, Initial, ObjectKey};
use kubewright_clock::Clock;
use kubewright_controller::{
    Controller, ControllerConfig, Enqueue, Pending, Request, RequestQueue,
};
use replica_set_controller::{Caches, Config, ReplicaSetController, SyncError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{now, object};
use crate::recorded::{Call, Recorded};
use crate::stores::Stores;

/// The controller, its caches filled by hand, its API calls recorded, its queue looked at.
pub(crate) struct Rig {
    pub(crate) stores: Stores,
    pub(crate) cluster: Recorded,
    pub(crate) controller: Arc<ReplicaSetController<Recorded>>,
    queue: RequestQueue,
    enqueue: Enqueue,
}

impl Rig {
    /// With the defaults.
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// That creates and deletes so many pods at once, at most.
    pub(crate) fn with_burst(burst: usize) -> Self {
        let mut config = Config::default();
        config.burst = NonZeroUsize::new(burst).unwrap();
        Self::with(config)
    }

    pub(crate) fn with(config: Config) -> Self {
        let stores = Stores::default();
        let cluster = Recorded::default();
        let caches: Caches = stores.caches().clone();
        let clock = Clock::starting_at(now());
        let controller = ReplicaSetController::new(cluster.clone(), caches, config, clock);
        let queue = RequestQueue::new(Default::default());
        Self {
            stores,
            cluster,
            controller: Arc::new(controller),
            enqueue: Enqueue::new(&queue),
            queue,
        }
    }

    /// Puts sets into the cache, without telling the controller.
    pub(crate) fn have_set(&mut self, set: &ReplicaSet) -> ObjectKey {
        self.stores.put_set(set);
        object(set).key().clone()
    }

    /// Puts pods into the cache, without telling the controller.
    pub(crate) fn have_pods<'a>(&mut self, pods: impl IntoIterator<Item = &'a Pod>) {
        for pod in pods {
            self.stores.put_pod(pod);
        }
    }

    /// The watch brings a set, new or changed.
    pub(crate) fn see_set(&mut self, set: &ReplicaSet) {
        for event in self.stores.put_set(set) {
            self.controller.on_set(&event, &self.enqueue);
        }
    }

    /// The watch brings the end of a set.
    pub(crate) fn see_set_gone(&mut self, set: &ReplicaSet) {
        for event in self.stores.remove_set(set) {
            self.controller.on_set(&event, &self.enqueue);
        }
    }

    /// The watch brings a pod, new or changed.
    pub(crate) fn see_pod(&mut self, pod: &Pod) {
        for event in self.stores.put_pod(pod) {
            self.controller.on_pod(&event, &self.enqueue);
        }
    }

    /// The watch brings the end of a pod.
    pub(crate) fn see_pod_gone(&mut self, pod: &Pod) {
        for event in self.stores.remove_pod(&object(pod)) {
            self.controller.on_pod(&event, &self.enqueue);
        }
    }

    /// The controller is told of a pod that its cache does not have.
    pub(crate) fn tell_added(&self, pod: &Pod) {
        self.tell(&Event::Added {
            object: object(pod),
            initial: Initial::No,
        });
    }

    /// The controller is told of a change of a pod that its cache does not have.
    pub(crate) fn tell_updated(&self, old: &Pod, new: &Pod) {
        self.tell(&Event::Updated {
            old: object(old),
            new: object(new),
        });
    }

    /// The controller is told of the end of a pod that its cache does not have.
    pub(crate) fn tell_deleted(&self, pod: &Pod, certainty: Certainty) {
        self.tell(&Event::Deleted {
            object: object(pod),
            certainty,
        });
    }

    fn tell(&self, event: &Event<Pod>) {
        self.controller.on_pod(event, &self.enqueue);
    }

    /// Syncs a set once.
    pub(crate) async fn sync(&self, key: &ObjectKey) -> Result<Option<Duration>, SyncError> {
        self.controller.sync(key).await
    }

    /// What is queued by now, in order; it is taken out.
    pub(crate) fn queued(&self) -> Vec<String> {
        let next = || self.queue.try_get().map(|item| item.to_string());
        std::iter::from_fn(next).collect()
    }

    /// How many keys are to be queued later.
    pub(crate) fn delayed(&self) -> usize {
        self.queue.stats().delayed
    }

    /// Runs a worker over `key`, as the real thing does, for `how_long`.
    pub(crate) async fn work(&self, key: &ObjectKey, how_long: Duration) -> Worked {
        let mut config = ControllerConfig::default();
        config.own_writes = Some(self.controller.own_writes().clone());
        let controller = Controller::new("replicaset", config);
        let queue = controller.queue().clone();
        let logic = Arc::clone(&self.controller);
        let reconcile = move |request: Request| {
            let logic = Arc::clone(&logic);
            async move { logic.reconcile(request).await }
        };
        controller.enqueue().add(key.clone());
        let look = async {
            sleep(how_long).await;
            Worked {
                failures: queue.num_requeues(key),
                delayed: queue.stats().delayed,
            }
        };
        tokio::select! {
            ended = controller.run(reconcile, CancellationToken::new()) => panic!("{ended:?}"),
            worked = look => worked,
        }
    }

    /// How many pods were created, deleted and patched since the last `clear`.
    pub(crate) fn pod_calls(&self) -> PodCalls {
        let calls = self.cluster.calls();
        let count = |is: fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
        PodCalls {
            creates: count(|call| matches!(call, Call::Create(..))),
            deletes: count(|call| matches!(call, Call::Delete(_))),
            patches: count(|call| matches!(call, Call::Patch(..))),
        }
    }

    /// The pods that were asked to be deleted since the last `clear`, in order.
    pub(crate) fn deletes(&self) -> Vec<String> {
        let calls = self.cluster.calls().into_iter();
        calls
            .filter_map(|call| match call {
                Call::Delete(pod) => Some(pod),
                _ => None,
            })
            .collect()
    }

    /// The statuses that were written since the last `clear`, in order.
    pub(crate) fn statuses(&self) -> Vec<ReplicaSetStatus> {
        let calls = self.cluster.calls().into_iter();
        calls
            .filter_map(|call| match call {
                Call::UpdateStatus(_, _, status) => Some(status),
                _ => None,
            })
            .collect()
    }

    /// What the set is still waiting to see.
    pub(crate) fn pending(&self, key: &ObjectKey) -> Option<Pending> {
        self.controller.expectations().pending(key)
    }
}

/// What a worker left in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worked {
    /// How often the key failed since it last succeeded.
    pub(crate) failures: u32,
    /// How many keys are to be tried again later.
    pub(crate) delayed: usize,
}

/// It succeeded, and is done.
pub(crate) const IDLE: Worked = Worked {
    failures: 0,
    delayed: 0,
};

/// It failed once, and is to be tried again.
pub(crate) const RETRYING: Worked = Worked {
    failures: 1,
    delayed: 1,
};

/// How many calls about pods there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodCalls {
    pub(crate) creates: usize,
    pub(crate) deletes: usize,
    pub(crate) patches: usize,
}

/// No call about any pod.
pub(crate) const NONE: PodCalls = PodCalls {
    creates: 0,
    deletes: 0,
    patches: 0,
};

/// So many creates and nothing else.
pub(crate) const fn creates(creates: usize) -> PodCalls {
    PodCalls { creates, ..NONE }
}

/// So many deletes and nothing else.
pub(crate) const fn deletes(deletes: usize) -> PodCalls {
    PodCalls { deletes, ..NONE }
}

/// So many patches and nothing else.
pub(crate) const fn patches(patches: usize) -> PodCalls {
    PodCalls { patches, ..NONE }
}
