//! The tests of `replica_set_test.go` about expectations.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kubewright_cache::{Certainty, ObjectKey};
use kubewright_controller::Pending;
use replica_set_controller::Scaling;

use crate::fixtures::{Owned, foo_bar, new_pod, new_pods, new_uid, now, object};
use crate::rig::{NONE, Rig, creates, deletes};

/// The pods that watches bring: of what was created, or of what was asked to be deleted.
struct Burst {
    rig: Rig,
    set: ReplicaSet,
    burst: usize,
    pods: Vec<Pod>,
}

impl Burst {
    async fn scale(&mut self, replicas: i32, rounds: usize) {
        self.set.spec.as_mut().unwrap().replicas = Some(replicas);
        let key = self.rig.have_set(&self.set);
        let wanted = usize::try_from(replicas).unwrap();
        for _ in 0..rounds {
            self.rig.cluster.clear();
            self.rig.sync(&key).await.unwrap();
            if wanted == 0 {
                self.see_deletions(&key).await;
            } else {
                self.see_creations(&key, wanted).await;
            }
        }
        assert_eq!(self.rig.stores.caches().pods.len(), wanted);
    }

    async fn see_creations(&mut self, key: &ObjectKey, wanted: usize) {
        let active = self.rig.stores.caches().pods.len();
        let expected = (wanted - active).min(self.burst);
        assert_eq!(self.rig.pod_calls(), creates(expected));
        let (last, first) = {
            let mut pods = self.pods.drain(..expected);
            let first: Vec<_> = pods.by_ref().take(expected - 1).collect();
            (pods.next().unwrap(), first)
        };
        // All but one are seen: that wakes nobody up.
        for pod in &first {
            self.rig.see_pod(pod);
        }
        assert_eq!(self.rig.pending(key), Some(Pending::new(1, 0)));
        self.is_asleep(key).await;
        self.rig.see_pod(&last);
    }

    async fn see_deletions(&mut self, key: &ObjectKey) {
        let active = self.rig.stores.caches().pods.len();
        assert_eq!(self.rig.pod_calls(), deletes(active.min(self.burst)));
        let leaving = self.rig.controller.expectations().leaving(key);
        let leaving_names: Vec<_> = leaving.iter().map(ToString::to_string).collect();
        let mut deleted = self.rig.deletes();
        deleted.sort();
        assert_eq!(deleted, leaving_names, "these are waited for");
        let pod = |key: &ObjectKey| new_pod(key.name(), &self.set, "Running", Owned::Yes);
        let mut pods: Vec<_> = leaving.iter().map(pod).collect();
        let last = pods.pop().unwrap();
        for pod in &pods {
            self.rig.see_pod_gone(pod);
        }
        assert_eq!(self.rig.pending(key), Some(Pending::new(0, 1)));
        self.is_asleep(key).await;
        self.rig.see_pod_gone(&last);
    }

    /// The set takes no action while it is waiting.
    async fn is_asleep(&mut self, key: &ObjectKey) {
        self.rig.cluster.clear();
        self.rig.sync(key).await.unwrap();
        assert_eq!(self.rig.pod_calls(), NONE);
    }
}

#[tokio::test(start_paused = true)]
async fn test_controller_burst_replicas() {
    for (burst, replicas) in [(5, 30), (5, 12), (3, 2)] {
        let set = foo_bar(replicas);
        let count = usize::try_from(replicas).unwrap();
        let pods = new_pods(count, &set, "Pending", "pod");
        let mut test = Burst {
            rig: Rig::with_burst(burst),
            set,
            burst,
            pods,
        };
        let rounds = count.div_ceil(burst);
        test.scale(replicas, rounds).await;
        test.scale(0, rounds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn test_rs_sync_expectations() {
    let mut rig = Rig::with_burst(2);
    let set = foo_bar(2);
    let key = rig.have_set(&set);
    let pods = new_pods(2, &set, "Pending", "pod");
    rig.have_pods(&pods[..1]);

    // The pod that fulfils the expectations comes between looking at those and counting pods.
    let started = rig.controller.begin(&key).unwrap();
    assert_eq!(started.scaling(), Scaling::Allowed);
    rig.have_pods(&pods[1..]);
    rig.controller.finish(started).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);

    // What was decided stays so, whatever is seen meanwhile.
    rig.controller.expectations().expect_creations(&key, 1);
    let started = rig.controller.begin(&key).unwrap();
    assert_eq!(started.scaling(), Scaling::Held);
    rig.controller.expectations().creation_observed(&key);
    rig.see_pod_gone(&pods[0]);
    rig.controller.finish(started).await.unwrap();
    assert_eq!(rig.pod_calls(), NONE);
}

#[tokio::test(start_paused = true)]
async fn test_delete_controller_and_expectations() {
    let mut rig = Rig::with_burst(10);
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
    rig.cluster.clear();

    rig.see_set_gone(&set);
    assert_eq!(rig.queued(), ["default/foobar"]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pending(&key), None);

    // An observation that comes too late does nothing.
    rig.controller.expectations().creation_observed(&key);
    rig.tell_added(&new_pod("late", &set, "Pending", Owned::Yes));
    assert_eq!(rig.pending(&key), None);
    assert_eq!(rig.queued(), [""; 0]);
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.cluster.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_sync_of_a_set_that_is_gone_leaves_nothing_behind() {
    let rig = Rig::new();
    let gone = object(&foo_bar(1));
    rig.controller
        .expectations()
        .expect_creations(gone.key(), 3);
    let own = rig.controller.own_writes();
    let store = own.track("pods", &rig.stores.caches().pods);
    store.wrote(gone.key(), gone.meta().uid(), &"7".into());

    assert_eq!(rig.sync(gone.key()).await.unwrap(), None);
    assert_eq!(rig.cluster.calls(), []);
    assert_eq!(rig.pending(gone.key()), None);
    assert!(own.is_empty());
}

#[tokio::test(start_paused = true)]
async fn test_expectations_on_recreate() {
    let mut rig = Rig::with_burst(100);
    let old = foo_bar(1);
    rig.see_set(&old);
    assert_eq!(rig.queued(), ["default/foobar"]);
    let key = object(&old).key().clone();
    rig.sync(&key).await.unwrap();
    assert_eq!(rig.pod_calls(), creates(1));
    assert!(!rig.controller.expectations().satisfied(&key));

    rig.see_set_gone(&old);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), None);

    // Its successor starts clean, also if nobody saw the old one go.
    for _ in 0..2 {
        let mut new = foo_bar(1);
        new.metadata.uid = Some(new_uid());
        rig.see_set(&new);
        assert_eq!(rig.queued(), ["default/foobar"]);
        assert_eq!(rig.pending(&key), None);
        rig.cluster.clear();
        rig.sync(&key).await.unwrap();
        assert_eq!(rig.pod_calls(), creates(1));
        assert_eq!(rig.pending(&key), Some(Pending::new(1, 0)));
    }
}

#[test]
fn test_deletion_timestamp() {
    let mut rig = Rig::new();
    let set = foo_bar(1);
    let key = rig.have_set(&set);
    let expectations = || rig.controller.expectations();
    let alive = new_pod("pod0", &set, "Pending", Owned::Yes);
    let versioned = |pod: &Pod, version: &str, deleted: bool| {
        let mut pod = pod.clone();
        pod.metadata.resource_version = Some(version.into());
        pod.metadata.deletion_timestamp = deleted.then(|| Time(now()));
        pod
    };
    let pod = versioned(&alive, "1", true);
    let pod_key = || [object(&pod).key().clone()];
    let met = Some(Pending::new(0, 0));
    let unmet = Some(Pending::new(0, 1));

    // A pod that is known first when it is on its way out counts as a deletion, not a creation.
    expectations().expect_deletions(&key, pod_key());
    rig.tell_added(&pod);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);

    // So does one that is asked to go.
    expectations().expect_deletions(&key, pod_key());
    rig.tell_updated(&versioned(&alive, "2", false), &pod);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);

    // Further changes of it, and its end, count no more.
    let second = new_pod("secondPod", &set, "Pending", Owned::Yes);
    expectations().expect_deletions(&key, [object(&second).key().clone()]);
    rig.tell_updated(&versioned(&alive, "2", true), &pod);
    assert_eq!(rig.pending(&key), unmet);
    rig.tell_deleted(&pod, Certainty::Seen);
    assert_eq!(rig.pending(&key), unmet);
    assert_eq!(rig.queued(), ["default/foobar"]);

    rig.tell_deleted(&second, Certainty::Seen);
    assert_eq!(rig.queued(), ["default/foobar"]);
    assert_eq!(rig.pending(&key), met);
}
