//! `pkg/controller/util/consistency/consistency_test.go`, and what it is for: a sync waits until
//! the caches have seen the controller's own writes.

use std::thread;
use std::time::Duration;

use kubewright_cache::{ObjectKey, Uid};
use kubewright_controller::{OwnWrites, TrackedStore};
use replica_set_controller::Config;

use crate::fixtures::{Owned, labels, new_pod, new_replica_set};
use crate::rig::{NONE, Rig, creates};
use crate::stores::Stores;

/// Two stores, and who remembers the writes they are to show.
struct Consistency {
    stores: Stores,
    writes: OwnWrites,
    pods: TrackedStore,
    sets: TrackedStore,
}

impl Consistency {
    fn new() -> Self {
        let stores = Stores::default();
        let writes = OwnWrites::new();
        Self {
            pods: writes.track("pods", &stores.caches().pods),
            sets: writes.track("replicasets", &stores.caches().sets),
            writes,
            stores,
        }
    }

    /// The store that is behind, and by which write.
    fn behind(&self, owner: &ObjectKey) -> Option<(String, String)> {
        let behind = self.writes.behind(owner)?;
        Some((behind.store.to_string(), behind.wrote.to_string()))
    }
}

fn owner(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

fn uid(nth: usize) -> Uid {
    Uid::from(&*format!("uid-{nth}"))
}

fn pods_at(version: &str) -> Option<(String, String)> {
    Some(("pods".into(), version.into()))
}

#[test]
fn test_owner_record_wrote_at() {
    let mut test = Consistency::new();
    let (owner, uid) = (owner("owner"), uid(1));
    test.stores.pods_reach("1");
    test.stores.sets_reach("1");
    for (version, newest) in [("5", "5"), ("10", "10"), ("8", "10")] {
        test.pods.wrote(&owner, &uid, &version.into());
        assert_eq!(test.behind(&owner), pods_at(newest));
    }
    // What another resource is written at is another matter.
    test.sets.wrote(&owner, &uid, &"1".into());
    assert_eq!(test.behind(&owner), pods_at("10"));
}

#[test]
fn test_owner_record_is_ready() {
    let mut test = Consistency::new();
    let (owner, uid) = (owner("owner"), uid(1));
    assert_eq!(test.behind(&owner), None, "without a write");
    test.pods.wrote(&owner, &uid, &"10".into());
    // A store that shows no version holds nothing up.
    assert_eq!(test.behind(&owner), None, "before the store was filled");

    test.pods.wrote(&owner, &uid, &"10".into());
    test.stores.pods_reach("5");
    assert_eq!(test.behind(&owner), pods_at("10"), "read before written");
    test.stores.pods_reach("10");
    assert_eq!(test.behind(&owner), None, "read what was written");
    test.pods.wrote(&owner, &uid, &"10".into());
    test.stores.pods_reach("15");
    assert_eq!(test.behind(&owner), None, "read past what was written");

    test.sets.wrote(&owner, &uid, &"100".into());
    test.pods.wrote(&owner, &uid, &"12".into());
    test.stores.sets_reach("50");
    assert!(test.behind(&owner).is_some(), "one of two stores is behind");
    test.stores.sets_reach("100");
    assert_eq!(test.behind(&owner), None, "both are there");
}

#[test]
fn test_consistency_store_new() {
    let writes = OwnWrites::new();
    assert!(writes.is_empty());
    assert_eq!(writes.behind(&owner("owner")), None);
}

#[test]
fn test_consistency_store_ensure_written_record() {
    let mut test = Consistency::new();
    let owner = owner("owner");
    test.stores.pods_reach("1");
    test.pods.wrote(&owner, &uid(1), &"20".into());
    test.pods.wrote(&owner, &uid(1), &"10".into());
    assert_eq!(
        test.behind(&owner),
        pods_at("20"),
        "one incarnation, one record"
    );
    // Another incarnation begins anew.
    test.pods.wrote(&owner, &uid(2), &"5".into());
    assert_eq!(test.behind(&owner), pods_at("5"));
    assert_eq!(test.writes.len(), 1);
}

#[test]
fn test_consistency_store_ensure_written_record_concurrent() {
    let mut test = Consistency::new();
    let owner = owner("owner");
    test.stores.pods_reach("1");
    for incarnation in [uid(1), uid(2)] {
        thread::scope(|scope| {
            for version in 0..50_u64 {
                let (test, owner, incarnation) = (&test, &owner, &incarnation);
                scope.spawn(move || {
                    test.pods.wrote(owner, incarnation, &(100 + version).into());
                });
            }
        });
        assert_eq!(test.writes.len(), 1);
        assert_eq!(test.behind(&owner), pods_at("149"));
    }
}

#[test]
fn test_consistency_store_wrote_at() {
    let mut test = Consistency::new();
    let owner = owner("owner");
    test.stores.pods_reach("1");
    for version in ["10", "20"] {
        test.pods.wrote(&owner, &uid(1), &version.into());
        assert_eq!(test.behind(&owner), pods_at(version));
    }
}

#[test]
fn test_consistency_store_clear() {
    let mut test = Consistency::new();
    let [one, two] = ["one", "two"].map(owner);
    test.stores.pods_reach("1");
    test.pods.wrote(&one, &uid(1), &"10".into());
    test.pods.wrote(&two, &uid(2), &"10".into());

    test.writes.clear(&owner("nobody"), Some(&uid(1)));
    assert_eq!(test.writes.len(), 2);
    test.writes.clear(&one, Some(&uid(2)));
    assert_eq!(test.writes.len(), 2, "not another incarnation's");
    test.writes.clear(&one, Some(&uid(1)));
    assert_eq!(test.behind(&one), None);
    assert_eq!(test.behind(&two), pods_at("10"));

    test.pods.wrote(&one, &uid(1), &"10".into());
    test.writes.clear(&one, None);
    assert_eq!(test.behind(&one), None);
    assert_eq!(test.behind(&two), pods_at("10"));
}

#[test]
fn test_consistency_store_is_ready() {
    let mut test = Consistency::new();
    let owner = owner("owner");
    assert_eq!(test.behind(&owner), None);
    test.stores.pods_reach("5");
    test.pods.wrote(&owner, &uid(1), &"10".into());
    assert_eq!(test.behind(&owner), pods_at("10"));
    for version in ["10", "15"] {
        test.stores.pods_reach(version);
        assert_eq!(test.behind(&owner), None);
    }
    assert!(
        test.writes.is_empty(),
        "what was seen need not be remembered"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sync_leaves_behind_what_it_wrote() {
    for gate in [true, false] {
        let mut config = Config::default();
        config.gates.stale_controller_consistency = gate;
        let mut rig = Rig::with(config);
        rig.stores.pods_reach("100");
        rig.stores.sets_reach("100");
        rig.cluster.set_version(200);
        let key = rig.have_set(&new_replica_set(2, &labels([("foo", "bar")])));
        rig.sync(&key).await.unwrap();
        assert_eq!(rig.pod_calls(), creates(2));
        let behind = || rig.controller.own_writes().behind(&key);
        let store = |it: Option<kubewright_controller::Behind>| it.map(|it| it.store.to_string());
        if gate {
            assert_eq!(store(behind()), Some("pods".into()));
        } else {
            assert_eq!(behind(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_do_adoption_and_release() {
    for (owned, pod_labels) in [(Owned::No, "bar"), (Owned::Yes, "other")] {
        let mut rig = Rig::new();
        rig.stores.pods_reach("100");
        rig.cluster.set_version(200);
        let set = new_replica_set(0, &labels([("foo", "bar")]));
        let key = rig.have_set(&set);
        rig.cluster.serve(&set);
        let mut pod = new_pod("pod", &set, "Pending", owned);
        pod.metadata.labels = Some(labels([("foo", pod_labels)]));
        rig.have_pods([&pod]);
        rig.sync(&key).await.unwrap();
        assert_eq!(rig.pod_calls().patches, 1);
        let behind = rig.controller.own_writes().behind(&key).unwrap();
        assert_eq!((&*behind.store, &behind.wrote), ("pods", &201.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_not_synced_before_its_own_writes_are_seen() {
    let mut rig = Rig::new();
    rig.stores.pods_reach("100");
    rig.stores.sets_reach("100");
    rig.cluster.set_version(200);
    let key = rig.have_set(&new_replica_set(2, &labels([("foo", "bar")])));
    rig.sync(&key).await.unwrap();
    rig.controller.expectations().forget(&key);
    rig.cluster.clear();

    // It is put off: no call, no failure, no try later.
    let worked = rig.work(&key, Duration::from_secs(60)).await;
    assert_eq!(rig.cluster.calls(), []);
    assert_eq!((worked.failures, worked.delayed), (0, 0));

    // The pods are seen, the set's own new version is not.
    rig.stores.pods_reach("202");
    rig.work(&key, Duration::from_secs(60)).await;
    assert_eq!(rig.pod_calls(), NONE);

    rig.stores.sets_reach("203");
    rig.work(&key, Duration::from_secs(1)).await;
    assert_eq!(rig.pod_calls(), creates(2));
}
