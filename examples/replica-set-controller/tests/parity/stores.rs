//! The two caches, filled by hand.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Delta, Event, Initial, Object, ResourceVersion, Store, StoreWriter};
use replica_set_controller::Caches;

use crate::fixtures::object;

/// The caches and those who write them.
pub(crate) struct Stores {
    sets: StoreWriter<ReplicaSet>,
    pods: StoreWriter<Pod>,
    caches: Caches,
    version: u64,
}

impl Default for Stores {
    fn default() -> Self {
        let (sets, set_store) = Store::new(Default::default());
        let (pods, pod_store) = Store::new(Default::default());
        let caches = Caches::new(set_store, pod_store).unwrap();
        Self {
            sets,
            pods,
            caches,
            version: 18,
        }
    }
}

impl Stores {
    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Adds or updates a set, without telling anybody; an update is a new version.
    pub(crate) fn put_set(&mut self, set: &ReplicaSet) -> Vec<Event<ReplicaSet>> {
        let mut set = set.clone();
        self.version += 1;
        set.metadata.resource_version = Some(self.version.to_string());
        apply(&mut self.sets, Delta::Updated(object(&set)))
    }

    pub(crate) fn remove_set(&mut self, set: &ReplicaSet) -> Vec<Event<ReplicaSet>> {
        apply(&mut self.sets, Delta::Deleted(object(set)))
    }

    /// Adds or updates a pod, without telling anybody.
    pub(crate) fn put_pod(&mut self, pod: &Pod) -> Vec<Event<Pod>> {
        apply(&mut self.pods, Delta::Updated(object(pod)))
    }

    /// Adds a pod that may be none.
    pub(crate) fn put_raw_pod(&mut self, pod: &serde_json::Value) {
        let pod = Object::from_json(pod.to_string().as_bytes()).unwrap();
        apply(&mut self.pods, Delta::Updated(pod));
    }

    pub(crate) fn remove_pod(&mut self, pod: &Object<Pod>) -> Vec<Event<Pod>> {
        apply(&mut self.pods, Delta::Deleted(pod.clone()))
    }

    /// Lets a cache of pods reach a version, as a bookmark does.
    pub(crate) fn pods_reach(&mut self, version: &str) {
        self.pods
            .apply(Vec::new(), Some(&version.into()), Initial::No);
    }

    /// Lets the cache of sets reach a version, as a bookmark does.
    pub(crate) fn sets_reach(&mut self, version: &str) {
        let version = ResourceVersion::from(version);
        self.sets.apply(Vec::new(), Some(&version), Initial::No);
    }
}

fn apply<K: 'static>(writer: &mut StoreWriter<K>, delta: Delta<K>) -> Vec<Event<K>> {
    writer.apply(vec![delta], None, Initial::No)
}
