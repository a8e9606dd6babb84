use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use kube_client::Error;
use kubewright_cache::{Object, ObjectKey, ResourceVersion};

use crate::event::SetEvent;
use crate::new_pod::NewPod;
use crate::owner::OwnerPatch;

mod live;

pub use live::LiveCluster;

/// All that the controller does to the world: five API calls, and events.
///
/// The one seam between the controller and a cluster. [`LiveCluster`] talks to an API server;
/// tests record the calls instead.
pub trait Cluster: Send + Sync + 'static {
    /// Creates a pod, the name of which the server completes.
    fn create_pod(
        &self,
        namespace: &str,
        pod: &NewPod,
    ) -> impl Future<Output = Result<Written, Error>> + Send;

    /// Deletes a pod in the default way, which gives it its grace period.
    fn delete_pod(&self, pod: &ObjectKey) -> impl Future<Output = Result<(), Error>> + Send;

    /// Patches the owners of a pod.
    fn patch_pod(
        &self,
        pod: &ObjectKey,
        patch: &OwnerPatch,
    ) -> impl Future<Output = Result<Written, Error>> + Send;

    /// Reads a set from the server, past all caches.
    fn get_replica_set(
        &self,
        set: &ObjectKey,
    ) -> impl Future<Output = Result<Object<ReplicaSet>, Error>> + Send;

    /// Updates a set's status; refused by the server if the set is newer than `current`.
    fn update_status(
        &self,
        current: &Object<ReplicaSet>,
        status: &ReplicaSetStatus,
    ) -> impl Future<Output = Result<Written, Error>> + Send;

    /// Tells of something that happened to `set`, sooner or later or not at all.
    fn record(&self, set: &Object<ReplicaSet>, event: &SetEvent<'_>);
}

/// What the server made of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The name of the object.
    pub name: String,
    /// Its new version, which the caches will come to see.
    pub resource_version: ResourceVersion,
}
