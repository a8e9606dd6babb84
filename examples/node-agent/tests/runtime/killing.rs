//! How pods and containers are stopped.

use std::time::Duration;

use kubewright_cri::Status;
use kubewright_cri::testing::{Behaviour, Exec, Fault};
use node_agent::runtime::{KillError, KillReason};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::fixtures::{Harness, SECOND, app, delete, pod};

/// The stops of containers and of sandboxes since the calls were last taken: what, with how much
/// grace, and when.
fn stops(harness: &Harness, since: Instant) -> Vec<(String, i64, Duration)> {
    let calls = harness.fake.take_calls().into_iter();
    calls
        .filter(|call| call.method.starts_with("Stop"))
        .map(|call| (call.to_string(), call.seconds, call.at - since))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn kill_pod() {
    let mut harness = Harness::new();
    let pod = pod(json!({
        "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "foo1", "image": "i:1"}, {"name": "foo2", "image": "i:1"}],
    }));
    harness.fake.behave("foo1", Behaviour::ignores_stop());
    harness.sync_well(&pod).await;
    harness.fake.take_calls();
    harness.events();
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    let stopped = |what: &str, grace, at| (what.to_owned(), grace, at);
    // Both at once, and the sandbox when both have ended.
    let mut seen = stops(&harness, start);
    seen[..2].sort();
    let expected = [
        stopped("StopContainer web/foo1", 30, Duration::ZERO),
        stopped("StopContainer web/foo2", 30, Duration::ZERO),
        stopped("StopPodSandbox web", 0, 30 * SECOND),
    ];
    assert_eq!(seen, expected);
    let mut events = harness.events();
    events.sort();
    let told = [
        "Normal Killing{foo1}: Stopping container foo1",
        "Normal Killing{foo2}: Stopping container foo2",
    ];
    assert_eq!(events, told);
    assert!(harness.observe(&pod).await.is_at_rest());

    // Once more does no harm.
    let observed = harness.observe(&pod).await;
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    assert_eq!(harness.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_grace_that_is_given_wins_and_is_never_less_than_2_seconds() {
    for (grace, asked) in [(Some(7), 7), (Some(1), 2), (Some(0), 2), (None, 9)] {
        let harness = Harness::new();
        let mut pod = app(json!({}));
        harness.sync_well(&pod).await;
        delete(&mut pod, 9);
        harness.fake.take_calls();
        let observed = harness.observe(&pod).await;
        let start = Instant::now();
        let grace = grace.map(Duration::from_secs);
        harness
            .manager
            .kill_pod(Some(&pod), &observed, grace)
            .await
            .unwrap();
        assert_eq!(stops(&harness, start)[0].1, asked);
    }
}

#[tokio::test(start_paused = true)]
async fn sidecars_end_after_those_they_serve_in_reverse_order() {
    let mut harness = Harness::new();
    let side = |name| json!({"name": name, "image": "i:1", "restartPolicy": "Always"});
    let pod = pod(json!({
        "terminationGracePeriodSeconds": 30,
        "initContainers": [side("side1"), side("side2")],
        "containers": [{"name": "app", "image": "i:1"}],
    }));
    let mut slow = Behaviour::default();
    slow.on_stop = kubewright_cri::testing::OnStop::Exits {
        after: 5 * SECOND,
        code: 0,
    };
    for name in ["app", "side2"] {
        harness.fake.behave(name, slow.clone());
    }
    harness.sync_well(&pod).await;
    harness.sync_well(&pod).await;
    harness.sync_well(&pod).await;
    assert_eq!(harness.containers().len(), 3);
    harness.fake.take_calls();
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    let expected = [
        ("StopContainer web/app".to_owned(), 30, Duration::ZERO),
        ("StopContainer web/side2".to_owned(), 25, 5 * SECOND),
        ("StopContainer web/side1".to_owned(), 20, 10 * SECOND),
        ("StopPodSandbox web".to_owned(), 0, 10 * SECOND),
    ];
    assert_eq!(stops(&harness, start), expected);
    harness.events();
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_only_the_runtime_knows_ends_as_its_containers_say() {
    let mut harness = Harness::new();
    let hooks = json!({"preStop": {"exec": {"command": ["bye"]}}});
    let pod = app(json!({"lifecycle": hooks}));
    harness.sync_well(&pod).await;
    harness.restart();
    harness.fake.take_calls();
    harness.events();
    let (ran, runs) = std::sync::mpsc::channel();
    harness.fake.on_exec(move |_, command| {
        ran.send(command.to_vec()).unwrap();
        Exec {
            takes: 4 * SECOND,
            ..Exec::default()
        }
    });
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    harness
        .manager
        .kill_pod(None, &observed, None)
        .await
        .unwrap();
    assert_eq!(runs.try_recv().unwrap(), ["bye"]);
    let stopped = ("StopContainer web/app".to_owned(), 26, 4 * SECOND);
    assert_eq!(stops(&harness, start)[0], stopped);
    assert_eq!(
        harness.events(),
        ["Normal Killing{app}: Stopping container app"]
    );
    assert!(harness.observe(&pod).await.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_the_spec_has_no_more_ends_as_it_says_itself() {
    let harness = Harness::new();
    let mut pod = app(json!({}));
    harness.sync_well(&pod).await;
    pod.spec.as_mut().unwrap().containers[0].name = "other".to_owned();
    let observed = harness.observe(&pod).await;
    harness.fake.take_calls();
    let start = Instant::now();
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    assert_eq!(stops(&harness, start)[0].1, 30);
    assert!(harness.observe(&pod).await.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_is_given_up_is_begun_again_with_less_grace() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.fake.behave("app", Behaviour::ignores_stop());
    harness.sync_well(&pod).await;
    let observed = harness.observe(&pod).await;
    let start = Instant::now();
    let kill = harness.manager.kill_pod(Some(&pod), &observed, None);
    assert!(timeout(5 * SECOND, kill).await.is_err());
    assert!(harness.observe(&pod).await.is_running());
    let grace = Some(3 * SECOND);
    harness
        .manager
        .kill_pod(Some(&pod), &observed, grace)
        .await
        .unwrap();
    assert_eq!(start.elapsed(), 8 * SECOND);
    assert!(harness.observe(&pod).await.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_lost_are_made_again() {
    for method in ["StopContainer", "StopPodSandbox"] {
        for fault in [Fault::unavailable(), Fault::Lost] {
            let harness = Harness::new();
            let pod = app(json!({}));
            harness.sync_well(&pod).await;
            harness.fake.fault(method, fault);
            let observed = harness.observe(&pod).await;
            assert!(
                harness
                    .manager
                    .kill_pod(Some(&pod), &observed, None)
                    .await
                    .is_err()
            );
            let observed = harness.observe(&pod).await;
            harness
                .manager
                .kill_pod(Some(&pod), &observed, None)
                .await
                .unwrap();
            assert!(harness.observe(&pod).await.is_at_rest());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_sandbox_takes_its_grace_from_a_container_that_is_out_of_reach() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    let observed = harness.observe(&pod).await;
    harness.fake.fault("StopContainer", Fault::unavailable());
    let killed = harness.manager.kill_pod(Some(&pod), &observed, None).await;
    assert!(matches!(killed, Err(KillError::Container { .. })));
    assert!(harness.observe(&pod).await.is_running());

    // One that the runtime will not stop by itself goes with its sandbox.
    let refused = Status::internal("it will not die");
    harness.fake.fault("StopContainer", Fault::Refused(refused));
    let killed = harness.manager.kill_pod(Some(&pod), &observed, None).await;
    assert!(matches!(killed, Err(KillError::Container { .. })));
    assert!(harness.observe(&pod).await.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_stopped() {
    let harness = Harness::new();
    let pod = app(json!({}));
    harness.sync_well(&pod).await;
    let observed = harness.observe(&pod).await;
    for method in ["StopContainer", "StopPodSandbox"] {
        harness
            .fake
            .fault(method, Fault::Refused(Status::not_found("gone")));
    }
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    harness
        .fake
        .fault("ContainerStatus", Fault::Refused(Status::not_found("gone")));
    harness
        .manager
        .kill_pod(None, &observed, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn kill_container() {
    let mut harness = Harness::new();
    let pod = pod(json!({
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "foo1",
                "image": "i:1",
                "startupProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 8},
            },
            {"name": "foo2", "image": "i:1"},
        ],
    }));
    harness.sync_well(&pod).await;
    harness.fake.take_calls();
    harness.events();
    let observed = harness.observe(&pod).await;
    let id = harness.id("web", "foo1");
    let start = Instant::now();
    let reason = Some(KillReason::StartupProbe);
    let manager = &harness.manager;
    let killed = manager.kill_container(Some(&pod), &observed, &id, "foo1", "too slow", reason);
    killed.await.unwrap();
    // The other one and the sandbox go on.
    assert_eq!(
        stops(&harness, start),
        [("StopContainer web/foo1".to_owned(), 8, Duration::ZERO)]
    );
    assert_eq!(harness.events(), ["Normal Killing{foo1}: too slow"]);
}
