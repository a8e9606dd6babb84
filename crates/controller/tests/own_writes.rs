//! The memory of own writes, after the consistency store tests of kube-controller-manager 1.36.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cache::{Initial, ResourceVersion, Store, StoreConfig, StoreWriter, Uid};
use kubewright_controller::{OwnWrites, TrackedStore};
use kubewright_informer::ObjectKey;
use tokio::task::JoinSet;

fn owner(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

/// A tracked store, and the one who moves it.
struct Tracked<K: 'static> {
    writer: StoreWriter<K>,
    writes: TrackedStore,
}

impl<K: serde::de::DeserializeOwned + Send + Sync + 'static> Tracked<K> {
    fn new(own_writes: &OwnWrites, name: &str) -> Self {
        let (writer, store) = Store::new(StoreConfig::default());
        let writes = own_writes.track(name, &store);
        Self { writer, writes }
    }

    fn read_at(&mut self, version: &str) {
        let version = ResourceVersion::from(version);
        self.writer.apply(Vec::new(), Some(&version), Initial::No);
    }

    fn wrote_at(&self, owner: &ObjectKey, uid: &str, version: &str) {
        let version = ResourceVersion::from(version);
        self.writes.wrote(owner, &Uid::from(uid), &version);
    }
}

/// `TestOwnerRecord_WroteAt` and `TestConsistencyStore_WroteAt`: the newest version counts, for each
/// store its own.
#[test]
fn test_owner_record_wrote_at() {
    let own_writes = OwnWrites::new();
    let mut pods = Tracked::<Pod>::new(&own_writes, "pods");
    let mut sets = Tracked::<DaemonSet>::new(&own_writes, "daemonsets");
    let web = owner("web");
    pods.read_at("1");
    sets.read_at("0");
    let wrote = |own_writes: &OwnWrites| {
        let behind = own_writes.behind(&owner("web")).expect("a store is behind");
        (behind.store.to_string(), behind.wrote.to_string())
    };
    pods.wrote_at(&web, "uid-1", "5");
    assert_eq!(wrote(&own_writes), ("pods".into(), "5".into()));
    pods.wrote_at(&web, "uid-1", "10");
    assert_eq!(wrote(&own_writes), ("pods".into(), "10".into()));
    pods.wrote_at(&web, "uid-1", "8");
    assert_eq!(wrote(&own_writes), ("pods".into(), "10".into()));
    sets.wrote_at(&web, "uid-1", "1");
    assert_eq!(wrote(&own_writes), ("pods".into(), "10".into()));
    pods.read_at("10");
    assert_eq!(wrote(&own_writes), ("daemonsets".into(), "1".into()));
}

/// `TestOwnerRecord_IsReady` and `TestConsistencyStore_IsReady`.
#[test]
fn test_owner_record_is_ready() {
    let own_writes = OwnWrites::new();
    let mut pods = Tracked::<Pod>::new(&own_writes, "pods");
    let mut sets = Tracked::<DaemonSet>::new(&own_writes, "daemonsets");
    let web = owner("web");
    assert_eq!(own_writes.behind(&web), None, "no writes");
    pods.wrote_at(&web, "uid-1", "10");
    assert_eq!(
        own_writes.behind(&web),
        None,
        "a write, and no version read"
    );

    pods.read_at("5");
    pods.wrote_at(&web, "uid-1", "10");
    let behind = own_writes.behind(&web).expect("the version read is older");
    assert_eq!(
        behind.to_string(),
        "pods are at version 5, before the own write 10"
    );
    pods.read_at("10");
    assert_eq!(own_writes.behind(&web), None, "the version read is equal");
    assert!(own_writes.is_empty(), "the record is dropped");

    pods.wrote_at(&web, "uid-1", "14");
    pods.read_at("15");
    assert_eq!(own_writes.behind(&web), None, "the version read is newer");

    pods.wrote_at(&web, "uid-1", "15");
    sets.wrote_at(&web, "uid-1", "100");
    sets.read_at("50");
    assert!(own_writes.behind(&web).is_some(), "one store is not ready");
    sets.read_at("100");
    assert_eq!(own_writes.behind(&web), None, "all are ready");
}

/// `TestConsistencyStore_EnsureWrittenRecord`: another incarnation starts with an empty record.
#[test]
fn test_consistency_store_ensure_written_record() {
    let own_writes = OwnWrites::new();
    let mut pods = Tracked::<Pod>::new(&own_writes, "pods");
    let mut sets = Tracked::<DaemonSet>::new(&own_writes, "daemonsets");
    pods.read_at("1");
    sets.read_at("1");
    let web = owner("web");
    pods.wrote_at(&web, "uid-1", "100");
    sets.wrote_at(&web, "uid-2", "50");
    assert_eq!(own_writes.len(), 1);
    let behind = own_writes
        .behind(&web)
        .expect("the new incarnation's write");
    assert_eq!(
        (&*behind.store, behind.wrote),
        ("daemonsets", ResourceVersion::from(50))
    );
}

/// `TestConsistencyStore_EnsureWrittenRecord_Concurrent`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn test_consistency_store_ensure_written_record_concurrent() {
    let own_writes = OwnWrites::new();
    let mut pods = Tracked::<Pod>::new(&own_writes, "pods");
    pods.read_at("1");
    let pods = Arc::new(pods);
    for uid in ["uid-1", "uid-2"] {
        let mut writers = JoinSet::new();
        for version in 2..52 {
            let pods = Arc::clone(&pods);
            writers.spawn(async move { pods.wrote_at(&owner("web"), uid, &version.to_string()) });
        }
        writers.join_all().await;
        assert_eq!(own_writes.len(), 1);
        let behind = own_writes.behind(&owner("web")).expect("all are newer");
        assert_eq!(behind.wrote, ResourceVersion::from(51));
    }
}

/// `TestConsistencyStore_Clear`.
#[test]
fn test_consistency_store_clear() {
    let own_writes = OwnWrites::new();
    let pods = Tracked::<Pod>::new(&own_writes, "pods");
    pods.wrote_at(&owner("one"), "uid-1", "5");
    pods.wrote_at(&owner("two"), "uid-2", "5");
    own_writes.clear(&owner("none"), Some(&Uid::from("uid-1")));
    assert_eq!(own_writes.len(), 2);
    own_writes.clear(&owner("one"), Some(&Uid::from("uid-2")));
    assert_eq!(own_writes.len(), 2, "another incarnation");
    own_writes.clear(&owner("one"), Some(&Uid::from("uid-1")));
    assert_eq!(own_writes.len(), 1);
    own_writes.clear(&owner("two"), None);
    assert!(own_writes.is_empty());
}

#[test]
fn versions_that_do_not_compare_hold_nothing_up() {
    let own_writes = OwnWrites::new();
    let mut pods = Tracked::<Pod>::new(&own_writes, "pods");
    pods.read_at("5");
    pods.wrote_at(&owner("web"), "u", "not-a-number");
    assert_eq!(own_writes.behind(&owner("web")), None);
    pods.wrote_at(&owner("web"), "u", "not-a-number");
    pods.wrote_at(&owner("web"), "u", "7");
    assert!(
        own_writes.behind(&owner("web")).is_some(),
        "the last one counts"
    );
}
