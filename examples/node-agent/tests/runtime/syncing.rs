//! What is done to a pod in one sync, and in which order.

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::testing::{Behaviour, Fault};
use kubewright_cri::v1::ContainerState::{ContainerExited, ContainerRunning};
use node_agent::probe::{ProbeKind, ProbeOutcome};
use node_agent::runtime::SyncError;
use node_agent::worker::Outcome;
use serde_json::json;
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{Harness, SECOND, app, delete, pod};

fn two_containers() -> Pod {
    pod(json!({"containers": [
        {"name": "foo1", "image": "busybox", "imagePullPolicy": "IfNotPresent"},
        {"name": "foo2", "image": "alpine", "imagePullPolicy": "IfNotPresent"},
    ]}))
}

#[tokio::test(start_paused = true)]
async fn sync_pod() {
    let mut harness = Harness::new();
    let pod = two_containers();
    let result = harness.sync(&pod).await;
    assert!(
        result.outcome() == Outcome::Done && result.has_acted,
        "{result:?}"
    );
    assert_eq!(result.outcome(), Outcome::Done);
    let expected = [
        "RunPodSandbox web",
        "ImageStatus busybox:latest",
        "PullImage busybox:latest",
        "ImageStatus busybox:latest",
        "CreateContainer web/foo1",
        "StartContainer web/foo1",
        "ImageStatus alpine:latest",
        "PullImage alpine:latest",
        "ImageStatus alpine:latest",
        "CreateContainer web/foo2",
        "StartContainer web/foo2",
    ];
    assert_eq!(harness.changes(), expected);
    let expected = [
        "Normal Pulling{foo1}: Pulling image \"busybox\"",
        "Normal Pulled{foo1}: Successfully pulled image \"busybox\" in 0s (0s including waiting). \
         Image size: 1048576 bytes.",
        "Normal Created{foo1}: Container created",
        "Normal Started{foo1}: Container started",
    ];
    assert_eq!(harness.events()[..4], expected);
    let running = |name: &str| (name.to_owned(), ContainerRunning, 0);
    assert_eq!(harness.containers(), [running("foo1"), running("foo2")]);
    assert_eq!(harness.fake.pulls().len(), 2);

    let again = harness.sync(&pod).await;
    assert!(again.outcome() == Outcome::Done && !again.has_acted);
    assert_eq!(harness.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn another_agent_finds_what_runs_and_restarts_nothing() {
    let mut harness = Harness::new();
    let pod = two_containers();
    harness.sync_well(&pod).await;
    harness.changes();
    harness.restart();
    assert!(!harness.sync(&pod).await.has_acted);
    assert_eq!(harness.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn sync_pod_with_sandbox_and_deleted_pod() {
    let mut harness = Harness::new();
    let pod = two_containers();
    let observed = harness.observe(&pod).await;
    harness
        .fake
        .fault("RunPodSandbox", Fault::Delayed(60 * SECOND));
    let token = CancellationToken::new();
    let sync = harness.sync_until(&pod, &observed, &token);
    let deletion = async {
        tokio::time::sleep(SECOND).await;
        token.cancel();
    };
    let (result, ()) = tokio::join!(sync, deletion);
    assert!(matches!(result.error, Some(SyncError::Cancelled)));
    assert_eq!(result.outcome(), Outcome::Cancelled);
    // That it could not be made is no news of a pod that goes.
    assert_eq!(harness.events(), [""; 0]);
    assert!(harness.fake.sandboxes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_deleted_gets_nothing_new() {
    let harness = Harness::new();
    let mut pod = two_containers();
    delete(&mut pod, 30);
    assert_eq!(harness.sync(&pod).await.outcome(), Outcome::Done);
    assert_eq!(harness.changes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn sync_pod_with_init_containers() {
    let harness = Harness::new();
    let pod = pod(json!({
        "initContainers": [{"name": "init1", "image": "init"}, {"name": "init2", "image": "init"}],
        "containers": [{"name": "foo1", "image": "busybox"}, {"name": "foo2", "image": "busybox"}],
    }));
    for init in ["init1", "init2"] {
        harness.fake.behave(init, Behaviour::exits(10 * SECOND, 0));
    }
    let names = || {
        let containers = harness.containers().into_iter();
        containers.map(|(name, ..)| name).collect::<Vec<_>>()
    };
    // 1. The first init container comes up with the sandbox, and nothing until it is done.
    harness.sync_well(&pod).await;
    assert_eq!(names(), ["init1"]);
    assert!(!harness.sync(&pod).await.has_acted);
    // 2. The next one.
    advance(11 * SECOND).await;
    harness.sync_well(&pod).await;
    assert_eq!(names(), ["init1", "init2"]);
    // 3. All others.
    advance(11 * SECOND).await;
    harness.sync_well(&pod).await;
    assert_eq!(names(), ["init1", "init2", "foo1", "foo2"]);
    assert_eq!(harness.ready_sandboxes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_cannot_be_started_keeps_the_others_back() {
    let harness = Harness::new();
    let pod = pod(json!({
        "initContainers": [{"name": "init", "image": "init"}],
        "containers": [{"name": "app", "image": "busybox"}],
    }));
    harness.fake.fault("StartContainer", Fault::unavailable());
    let result = harness.sync(&pod).await;
    let [start] = &result.starts[..] else {
        panic!("{result:?}");
    };
    assert_eq!(
        start.result.as_ref().unwrap_err().reason,
        "RunContainerError"
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_be_started_keeps_no_other_back() {
    let mut harness = Harness::new();
    let pod = two_containers();
    let refused = kubewright_cri::Status::internal("no such command");
    harness
        .fake
        .fault("StartContainer", Fault::Refused(refused));
    let result = harness.sync(&pod).await;
    let reasons: Vec<_> = result
        .starts
        .iter()
        .map(|start| start.result.as_ref().err().map(ToString::to_string))
        .collect();
    assert_eq!(
        reasons,
        [Some("RunContainerError: no such command".to_owned()), None]
    );
    let failed = "Warning Failed{foo1}: Error: no such command".to_owned();
    assert!(harness.events().contains(&failed));
    let mut failures = node_agent::status::StartFailures::default();
    let uid = node_agent::pod::PodUid::of(&pod);
    result.record(&uid, &mut failures);
    assert_eq!(
        failures.get(&uid, "foo1").unwrap().reason,
        "RunContainerError"
    );
    assert_eq!(failures.get(&uid, "foo2"), None);

    // It was not started, so it was not restarted either.
    harness.sync_well(&pod).await;
    let mut containers = harness.containers();
    containers.sort();
    let running = |name: &str| (name.to_owned(), ContainerRunning, 0);
    assert_eq!(containers, [running("foo1"), running("foo2")]);
}

#[tokio::test(start_paused = true)]
async fn prune_init_containers() {
    let harness = Harness::new();
    let pod = pod(json!({
        "initContainers": [{"name": "init", "image": "init"}],
        "containers": [{"name": "app", "image": "busybox"}],
    }));
    harness.fake.behave("init", Behaviour::exits(SECOND, 1));
    for _ in 0..3 {
        harness.sync(&pod).await;
        advance(600 * SECOND).await;
    }
    harness.fake.behave("init", Behaviour::exits(SECOND, 0));
    harness.sync(&pod).await;
    advance(2 * SECOND).await;
    harness.sync_well(&pod).await;
    let init: Vec<_> = harness
        .containers()
        .into_iter()
        .filter(|(name, ..)| name == "init")
        .collect();
    assert_eq!(init, [("init".to_owned(), ContainerExited, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_is_lost_is_made_again_with_all_in_it() {
    let mut harness = Harness::new();
    let pod = two_containers();
    harness.sync_well(&pod).await;
    let sandbox = harness.ready_sandboxes().pop().unwrap();
    harness.fake.lose_sandbox(&sandbox.id);
    advance(SECOND).await;
    harness.changes();
    harness.events();
    harness.sync_well(&pod).await;
    let changes = harness.changes();
    let stops = [
        "StopContainer web/foo1",
        "StopContainer web/foo2",
        "StopPodSandbox web",
    ];
    let mut first: Vec<_> = changes[..3].to_vec();
    first.sort();
    assert_eq!(first, stops);
    assert_eq!(changes[3], "RunPodSandbox web");
    let config = harness.sandbox_config();
    assert_eq!(config.metadata.unwrap().attempt, 1);
    assert_eq!(harness.ready_sandboxes().len(), 1);
    let alive: Vec<_> = harness
        .containers()
        .into_iter()
        .filter(|(_, state, _)| *state == ContainerRunning)
        .map(|(name, _, restarts)| (name, restarts))
        .collect();
    assert_eq!(alive, [("foo1".to_owned(), 1), ("foo2".to_owned(), 1)]);
    let events = harness.events();
    let changed = "Normal SandboxChanged: Pod sandbox changed, it will be killed and re-created.";
    assert_eq!(events[0], changed);
}

#[tokio::test(start_paused = true)]
async fn another_image_replaces_a_container_and_nothing_else_does() {
    let mut harness = Harness::new();
    let mut pod = app(json!({}));
    harness.sync_well(&pod).await;
    harness.changes();
    harness.events();
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.args = Some(vec!["other".to_owned()]);
    assert!(!harness.sync(&pod).await.has_acted);
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.image = Some("busybox:2".to_owned());
    harness.sync_well(&pod).await;
    assert_eq!(harness.changes()[0], "StopContainer web/app");
    let killing = "Normal Killing{app}: Container app definition changed, will be restarted";
    assert_eq!(harness.events()[0], killing);
    assert_eq!(
        harness
            .config("web", "app")
            .image
            .unwrap()
            .user_specified_image,
        "busybox:2"
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_fails_its_liveness_probe_is_restarted_with_the_grace_of_the_probe() {
    let mut harness = Harness::new();
    let probe = json!({"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 7});
    let pod = app(json!({"livenessProbe": probe}));
    harness.sync_well(&pod).await;
    harness.fake.take_calls();
    let key = (ProbeKind::Liveness, harness.id("web", "app"));
    harness.probes.insert(key, ProbeOutcome::Failure);
    harness.events();
    harness.sync_well(&pod).await;
    let calls = harness.fake.take_calls();
    let stop = calls
        .iter()
        .find(|call| call.method == "StopContainer")
        .unwrap();
    assert_eq!(stop.seconds, 7);
    let killing = "Normal Killing{app}: Container app failed liveness probe, will be restarted";
    assert_eq!(harness.events()[0], killing);
    assert_eq!(harness.containers().last().unwrap().2, 1);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_is_late_does_not_keep_init_containers_from_their_turn() {
    let mut harness = Harness::new();
    let probe = json!({"exec": {"command": ["true"]}});
    let pod = pod(json!({
        "initContainers": [
            {"name": "side", "image": "a", "restartPolicy": "Always", "startupProbe": probe},
            {"name": "init", "image": "a"},
        ],
        "containers": [{"name": "app", "image": "a"}],
    }));
    let names = |harness: &Harness| {
        let containers = harness.containers().into_iter();
        containers.map(|(name, ..)| name).collect::<Vec<_>>()
    };
    harness.fake.behave("init", Behaviour::exits(SECOND, 0));
    harness.sync_well(&pod).await;
    assert!(!harness.sync(&pod).await.has_acted);
    assert_eq!(names(&harness), ["side"]);
    let key = (ProbeKind::Startup, harness.id("web", "side"));
    harness.probes.insert(key, ProbeOutcome::Success);
    advance(SECOND).await;
    harness.sync_well(&pod).await;
    advance(2 * SECOND).await;
    harness.sync_well(&pod).await;
    assert_eq!(names(&harness), ["side", "init", "app"]);
}

#[tokio::test(start_paused = true)]
async fn ephemeral_containers_are_started_once_and_see_their_target() {
    let harness = Harness::new();
    let mut pod = app(json!({}));
    harness.sync_well(&pod).await;
    let debug = json!([{"name": "debug", "image": "debug", "targetContainerName": "app"}]);
    let spec = pod.spec.as_mut().unwrap();
    spec.ephemeral_containers = Some(serde_json::from_value(debug).unwrap());
    harness.fake.behave("debug", Behaviour::exits(SECOND, 1));
    harness.sync_well(&pod).await;
    let config = harness.config("web", "debug");
    let security = config.linux.unwrap().security_context.unwrap();
    let target = security.namespace_options.unwrap().target_id;
    assert_eq!(target, &*harness.id("web", "app").id);
    advance(100 * SECOND).await;
    assert!(!harness.sync(&pod).await.has_acted);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_supported_is_refused_by_name() {
    let mut harness = Harness::new();
    let pod = app(json!({"restartPolicy": "Never"}));
    let error = harness.sync(&pod).await.error.unwrap();
    assert_eq!(
        error.to_string(),
        "container \"app\": restartPolicy is not supported"
    );
    assert_eq!(harness.changes(), [""; 0]);
    let told = "Warning FailedSync: Error syncing pod, skipping: container \"app\": \
                restartPolicy is not supported";
    assert_eq!(harness.events(), [told]);
}

#[test]
fn a_sync_may_be_done_by_any_thread() {
    fn check<T: Send>(_: impl FnOnce(&'static Harness, &'static Pod) -> T) {}
    check(Harness::sync);
}
