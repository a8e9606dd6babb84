//! The tests of `replica_set_test.go` that need watches: the controller as it is put together.

use std::time::Duration;

use kubewright_cache::ObjectKey;
use kubewright_cache::testing::FakeSource;
use kubewright_clock::Clock;
use replica_set_controller::{Assembly, Config, ReplicaSetController, RunError};
use serde_json::json;
use std::sync::Arc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{Owned, labels, new_pod, new_replica_set, now};
use crate::recorded::{Call, Recorded};

/// The sources of an assembly.
struct Sources {
    sets: FakeSource,
    pods: FakeSource,
    cluster: Recorded,
    logic: Arc<ReplicaSetController<Recorded>>,
}

impl Sources {
    /// Lets everybody do what there is to do.
    async fn settle(&self) {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Runs an assembly over empty sources while `test` goes on.
async fn assembled(test: impl AsyncFnOnce(Sources)) {
    let (sets, pods, cluster) = (FakeSource::new(), FakeSource::new(), Recorded::default());
    // Whatever the recorded cluster writes is seen already.
    sets.advance_to(1000);
    pods.advance_to(1000);
    let assembly = Assembly::of(
        sets.clone(),
        pods.clone(),
        cluster.clone(),
        Config::default(),
        Clock::starting_at(now()),
    );
    let assembly = assembly.unwrap();
    let logic = Arc::clone(assembly.logic());
    let token = CancellationToken::new();
    let sources = Sources {
        sets,
        pods,
        cluster,
        logic,
    };
    let test = async {
        test(sources).await;
        token.cancel();
    };
    let (ran, ()) = tokio::join!(assembly.run(token.clone()), Box::pin(test));
    ran.unwrap();
}

fn calls_about(cluster: &Recorded) -> Vec<String> {
    let calls = cluster.calls().into_iter();
    calls
        .map(|call| match call {
            Call::Create(namespace, pod) => {
                format!(
                    "create {namespace}/{}",
                    pod["metadata"]["generateName"].as_str().unwrap()
                )
            }
            Call::Delete(pod) => format!("delete {pod}"),
            Call::Patch(pod, _) => format!("patch {pod}"),
            Call::Get(set) => format!("get {set}"),
            Call::UpdateStatus(set, _, status) => format!("status {set} {}", status.replicas),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn test_watch_controllers() {
    assembled(async |test| {
        test.settle().await;
        assert_eq!(calls_about(&test.cluster), [""; 0]);
        test.sets
            .apply_typed(&new_replica_set(1, &labels([("foo", "bar")])));
        test.settle().await;
        assert_eq!(
            calls_about(&test.cluster),
            ["create default/foobar-", "status default/foobar 0"]
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn test_watch_pods() {
    assembled(async |test| {
        let mut idle = new_replica_set(0, &labels([("foo", "bar")]));
        idle.metadata.name = Some("idle".into());
        let set = new_replica_set(1, &labels([("foo", "bar")]));
        test.sets.apply_typed(&idle);
        test.sets.apply_typed(&set);
        test.settle().await;
        test.cluster.clear();

        // The pod that was created comes, and goes: both wake its set and no other.
        let pod = new_pod("pod0", &set, "Running", Owned::Yes);
        test.pods.apply_typed(&pod);
        test.settle().await;
        assert_eq!(calls_about(&test.cluster), ["status default/foobar 1"]);
        test.cluster.clear();

        test.pods.delete(&ObjectKey::namespaced("default", "pod0"));
        test.settle().await;
        let key = ObjectKey::namespaced("default", "foobar");
        assert_eq!(calls_about(&test.cluster)[0], "create default/foobar-");
        assert!(!test.logic.expectations().satisfied(&key));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_and_goes_between_two_looks_is_counted() {
    assembled(async |test| {
        let set = new_replica_set(2, &labels([("foo", "bar")]));
        test.sets.apply_typed(&set);
        test.settle().await;
        test.cluster.clear();
        // Two creations are expected. One of the pods is gone again in the very batch it came in.
        for name in ["pod0", "pod1"] {
            test.pods
                .apply_typed(&new_pod(name, &set, "Pending", Owned::Yes));
        }
        test.pods.delete(&ObjectKey::namespaced("default", "pod1"));
        test.settle().await;
        assert!(calls_about(&test.cluster).contains(&"create default/foobar-".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn five_sets_are_synced_at_once() {
    assembled(async |test| {
        test.cluster.let_status_take(Duration::from_secs(10));
        for nth in 0..7 {
            let mut set = new_replica_set(0, &labels([("foo", "bar")]));
            set.metadata.name = Some(format!("set-{nth}"));
            test.sets.apply_typed(&set);
        }
        test.settle().await;
        assert_eq!(calls_about(&test.cluster).len(), 5);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(calls_about(&test.cluster).len(), 7);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unreadable_objects_disturb_nobody_else() {
    assembled(async |test| {
        let mut odd = json!(new_replica_set(1, &labels([("foo", "bar")])));
        odd["metadata"]["name"] = json!("odd");
        odd["spec"]["replicas"] = json!("many");
        test.sets.apply(odd);
        test.sets
            .apply_raw(&ObjectKey::namespaced("default", "torn"), "{\"metadata\":");
        test.sets
            .apply_typed(&new_replica_set(1, &labels([("foo", "bar")])));
        test.settle().await;
        assert_eq!(
            calls_about(&test.cluster),
            ["create default/foobar-", "status default/foobar 0"]
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_it_is_told_to_even_before_it_is_in_sync() -> Result<(), RunError> {
    let never = FakeSource::new();
    never.answer_list(kubewright_cache::testing::Answer::Hang);
    let assembly = Assembly::of(
        never,
        FakeSource::new(),
        Recorded::default(),
        Config::default(),
        Clock::starting_at(now()),
    );
    let token = CancellationToken::new();
    let stop = async {
        sleep(Duration::from_secs(5)).await;
        token.cancel();
    };
    tokio::join!(assembly.unwrap().run(token.clone()), stop).0
}
