//! Calls that are lost before they took effect, or after.

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::testing::{Behaviour, Fault};
use kubewright_cri::v1::ContainerState::{ContainerExited, ContainerRunning};
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::{PodRuntime as _, RuntimeState};
use node_agent::worker::Outcome;
use serde_json::json;
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{Harness, SECOND, app, pod};

/// All calls that the start of a pod takes.
const CALLS: [&str; 11] = [
    "ListPodSandbox",
    "ListContainers",
    "PodSandboxStatus",
    "ContainerStatus",
    "RuntimeConfig",
    "Version",
    "RunPodSandbox",
    "ImageStatus",
    "PullImage",
    "CreateContainer",
    "StartContainer",
];

fn with_init() -> Pod {
    pod(json!({
        "initContainers": [{"name": "init", "image": "i:1"}],
        "containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:1"}],
    }))
}

/// Syncs a pod until it is what it should be, as its worker does.
async fn settle(harness: &Harness, pod: &Pod) {
    for _ in 0..20 {
        let (uid, name) = (PodUid::of(pod), PodName::of(pod));
        if let Ok(observed) = harness.manager.observe(&uid, &name).await {
            let result = harness.sync_seen(pod, &observed).await;
            let runs = |name: &str| {
                let container = observed.container(name);
                container.is_some_and(|it| it.state == RuntimeState::Running)
            };
            if result.outcome() == Outcome::Done && !result.has_acted && runs("a") && runs("b") {
                return;
            }
        }
        advance(11 * SECOND).await;
    }
    panic!("it does not settle: {:?}", harness.containers());
}

fn check(harness: &Harness, case: &str) {
    let mut containers = harness.containers();
    containers.sort();
    let expected = [
        ("a".to_owned(), ContainerRunning, 0),
        ("b".to_owned(), ContainerRunning, 0),
        ("init".to_owned(), ContainerExited, 0),
    ];
    assert_eq!(containers, expected, "{case}");
    assert_eq!(harness.fake.sandboxes().len(), 1, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_lost_doubles_nothing_and_leaves_nothing_behind() {
    for method in CALLS {
        for nth in 0..4 {
            for fault in [Fault::unavailable(), Fault::Lost] {
                let harness = Harness::new();
                harness.fake.behave("init", Behaviour::exits(SECOND, 0));
                for _ in 0..nth {
                    harness.fake.fault(method, Fault::Delayed(SECOND / 1000));
                }
                let case = format!("{method} {nth} {fault:?}");
                harness.fake.fault(method, fault);
                settle(&harness, &with_init()).await;
                check(&harness, &case);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_cancelled_in_any_call_doubles_nothing_and_leaves_nothing_behind() {
    let pod = with_init();
    for method in CALLS {
        for fault in [Fault::Delayed(3600 * SECOND), Fault::Lost] {
            let harness = Harness::new();
            harness.fake.behave("init", Behaviour::exits(SECOND, 0));
            let observed = harness.observe(&pod).await;
            harness.fake.fault(method, fault.clone());
            let token = CancellationToken::new();
            let start = Instant::now();
            let cancel = async {
                tokio::time::sleep(SECOND).await;
                token.cancel();
            };
            let sync = harness.sync_until(&pod, &observed, &token);
            tokio::join!(sync, cancel);
            assert_eq!(start.elapsed(), SECOND, "{method}");
            harness.fake.clear_faults();
            settle(&harness, &pod).await;
            check(&harness, &format!("{method} {fault:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_and_is_not_seen_yet_is_found_by_its_name() {
    let harness = Harness::new();
    let pod = app(json!({}));
    let unseen = harness.observe(&pod).await;
    harness.fake.fault("RunPodSandbox", Fault::Lost);
    assert_ne!(
        harness.sync_seen(&pod, &unseen).await.outcome(),
        Outcome::Done
    );
    // The cache still knows of no sandbox, and the name is taken.
    harness.fake.fault("CreateContainer", Fault::Lost);
    assert_ne!(
        harness.sync_seen(&pod, &unseen).await.outcome(),
        Outcome::Done
    );
    // Nor of a container.
    let result = harness.sync_seen(&pod, &unseen).await;
    assert_eq!(result.outcome(), Outcome::Done, "{result:?}");
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerRunning, 0)]
    );
    assert_eq!(harness.fake.sandboxes().len(), 1);
    // One that runs is not touched.
    let result = harness.sync_seen(&pod, &unseen).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(error.reason, "CreateContainerError");
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerRunning, 0)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_away_is_waited_for() {
    let harness = Harness::new();
    let pod = app(json!({}));
    let observed = harness.observe(&pod).await;
    harness.fake.go_away();
    let result = harness.sync_seen(&pod, &observed).await;
    assert_ne!(result.outcome(), Outcome::Done);
    harness.fake.come_back();
    harness.sync_well(&pod).await;
    let seen = harness.observe(&pod).await;
    harness.fake.go_away();
    assert!(
        harness
            .manager
            .kill_pod(Some(&pod), &seen, None)
            .await
            .is_err()
    );
    assert_ne!(
        harness.sync_seen(&pod, &observed).await.outcome(),
        Outcome::Done
    );
    harness.fake.come_back();
    assert!(!harness.sync(&pod).await.has_acted);
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerRunning, 0)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_never_started_does_not_tell_that_a_new_sandbox_is_initialized() {
    let harness = Harness::new();
    let pod = with_init();
    harness.fake.behave("init", Behaviour::exits(SECOND, 0));
    harness.sync(&pod).await;
    advance(2 * SECOND).await;
    for _ in ["a", "b"] {
        harness.fake.fault("StartContainer", Fault::unavailable());
    }
    harness.sync(&pod).await;
    let sandbox = harness.ready_sandboxes().pop().unwrap();
    harness.fake.lose_sandbox(&sandbox.id);
    advance(SECOND).await;
    // As long as they cannot be removed there is no new sandbox.
    harness.fake.fault("RemoveContainer", Fault::unavailable());
    assert_ne!(harness.sync(&pod).await.outcome(), Outcome::Done);
    assert!(harness.ready_sandboxes().is_empty());
    harness.sync(&pod).await;
    assert!(!harness.sync(&pod).await.has_acted, "init is waited for");
    let running = ("init".to_owned(), ContainerRunning, 1);
    assert_eq!(harness.containers(), [running]);
}

#[tokio::test(start_paused = true)]
async fn init_containers_of_the_sandbox_before_keep_none_from_running_again() {
    let harness = Harness::new();
    let pod = pod(json!({
        "initContainers": [{"name": "one", "image": "i:1"}, {"name": "two", "image": "i:1"}],
        "containers": [{"name": "app", "image": "i:1"}],
    }));
    for name in ["one", "two"] {
        harness.fake.behave(name, Behaviour::exits(SECOND, 0));
    }
    for _ in 0..3 {
        harness.sync_well(&pod).await;
        advance(2 * SECOND).await;
    }
    harness.fake.lose_sandbox(&harness.ready_sandboxes()[0].id);
    // The second one, which would tell that the first one is done, cannot be removed.
    harness.fake.fault("RemoveContainer", Fault::unavailable());
    assert_ne!(harness.sync(&pod).await.outcome(), Outcome::Done);
    harness.sync_well(&pod).await;
    let running: Vec<_> = harness
        .containers()
        .into_iter()
        .filter(|(_, state, _)| *state == ContainerRunning)
        .collect();
    assert_eq!(running, [("one".to_owned(), ContainerRunning, 1)]);
}
