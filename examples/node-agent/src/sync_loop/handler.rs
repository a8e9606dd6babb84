use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::pod::PodUid;
use crate::runtime::ContainerId;

/// Acts on what happens to pods.
///
/// One method runs at a time, and while one runs, nothing else is acted on. Work of its own duration
/// is a pod worker's.
///
/// Answers to kubelet's `SyncHandler`, and to what its `syncLoopIteration` does besides.
pub trait SyncHandler: Send + Sync {
    /// A source has new pods. Others may have to end before there is room for them.
    fn handle_pod_additions(&self, pods: Vec<Arc<Pod>>) -> impl Future<Output = ()> + Send;

    /// A source has changed pods, or they are to be deleted in their own time.
    fn handle_pod_updates(&self, pods: Vec<Arc<Pod>>);

    /// A source does not know pods any more.
    fn handle_pod_removes(&self, pods: Vec<Arc<Pod>>);

    /// What a source says of the status of pods is not what it was told.
    fn handle_pod_reconcile(&self, pods: Vec<Arc<Pod>>);

    /// Pods are to be looked at again.
    fn handle_pod_syncs(&self, pods: Vec<Arc<Pod>>);

    /// Cleans up after pods that are gone. Called only when all sources have spoken.
    ///
    /// # Errors
    ///
    /// What could not be done. It is logged, and tried again the next time.
    fn handle_pod_cleanups(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Why no pod is to be synced now; `None` if all is well. Asked before each thing is taken.
    fn runtime_errors(&self) -> Option<String>;

    /// The pod that the agent goes by under this uid, if a source has it.
    fn pod(&self, uid: &PodUid) -> Option<Arc<Pod>>;

    /// The pods whose time has come, and those that somebody else says are to be looked at, such as
    /// the ones past their deadline. Asked with every tick.
    ///
    /// [`WorkerPool::take_due`](crate::worker::WorkerPool::take_due) tells of the former.
    fn pods_to_sync(&self) -> Vec<Arc<Pod>>;

    /// A container or a sandbox of a pod has died: dead containers that nobody needs can go.
    fn clean_up_containers(&self, pod: &PodUid, container: &str);

    /// A readiness probe came to something else.
    fn set_container_readiness(&self, pod: &PodUid, container: &ContainerId, is_ready: bool);

    /// A startup probe came to something else.
    fn set_container_startup(&self, pod: &PodUid, container: &ContainerId, has_started: bool);
}
