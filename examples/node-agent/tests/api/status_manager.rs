//! The status manager, by the tests of kubelet's.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use kube_client::api::{PostParams, ResourceExt as _};
use kubewright_apiserver::faults::{Fault, Rule, Verb};
use node_agent::pod::PodUid;
use node_agent::status::needs_readiness_reconcile;
use serde_json::{Value, json};

use crate::world::{World, a_moment, saying, seconds, status, told};

pub(crate) const WRITTEN: [&str; 2] = [
    "get pods default/foo: 200",
    "patch pods/status default/foo: 200",
];
const SAME: [&str; 1] = ["get pods default/foo: 200"];
pub(crate) const NOTHING: [&str; 0] = [];

fn readiness(is_ready: bool) -> PodStatus {
    let word = if is_ready { "True" } else { "False" };
    status(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": word}]}))
}

pub(crate) fn condition(status: &PodStatus, type_: &str) -> PodCondition {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|it| it.type_ == type_).unwrap().clone()
}

/// A pod of which nothing is known elsewhere.
#[expect(clippy::needless_pass_by_value, reason = "tests write pods in place")]
pub(crate) fn local(spec: Value, status: Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "foo", "namespace": "default", "uid": "12345678"},
        "spec": spec, "status": status,
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[tokio::test(start_paused = true)]
async fn new_status() {
    let world = World::new();
    let pod = world.create("foo").await;
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    let status = world.status(&pod);
    assert_eq!(
        status.start_time.unwrap().0,
        "2026-05-01T12:00:00Z".parse().unwrap()
    );
    assert_eq!(world.message("foo").await, "a");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn new_status_preserves_pod_start_time() {
    let world = World::without_writer();
    let pod = local(
        json!({"containers": []}),
        json!({"startTime": "2026-05-01T11:00:00Z"}),
    );
    world.manager.set_pod_status(&pod, saying("a"));
    let start = world.status(&pod).start_time.unwrap().0;
    assert_eq!(start, "2026-05-01T11:00:00Z".parse().unwrap());
}

#[tokio::test(start_paused = true)]
async fn new_status_sets_ready_transition_time() {
    let world = World::without_writer();
    let pod = local(json!({"containers": []}), json!({}));
    world.manager.set_pod_status(&pod, readiness(true));
    let ready = condition(&world.status(&pod), "Ready");
    assert_eq!(ready.last_transition_time.unwrap().0, world.clock.now());
}

#[tokio::test(start_paused = true)]
async fn changed_status() {
    let world = World::new();
    let pod = world.create("foo").await;
    for message in ["a", "b"] {
        world.manager.set_pod_status(&pod, saying(message));
        a_moment().await;
        assert_eq!(told(&world.calls), WRITTEN);
        assert_eq!(world.message("foo").await, message);
        world.calls.take();
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn changed_status_keeps_start_time() {
    let world = World::new();
    let pod = world.create("foo").await;
    let first = status(json!({"startTime": "2026-05-01T11:00:00Z", "message": "a"}));
    world.manager.set_pod_status(&pod, first);
    world.manager.set_pod_status(&pod, saying("b"));
    let start = world.status(&pod).start_time.unwrap().0;
    assert_eq!(start, "2026-05-01T11:00:00Z".parse().unwrap());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn changed_status_updates_last_transition_time() {
    let world = World::without_writer();
    let pod = local(json!({"containers": []}), json!({}));
    world.manager.set_pod_status(&pod, readiness(true));
    let before = condition(&world.status(&pod), "Ready");
    seconds(5).await;
    world.manager.set_pod_status(&pod, readiness(false));
    let after = condition(&world.status(&pod), "Ready");
    assert!(after.last_transition_time > before.last_transition_time);
}

#[tokio::test(start_paused = true)]
async fn unchanged_status() {
    let world = World::new();
    let pod = world.create("foo").await;
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), NOTHING);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn unchanged_status_preserves_last_transition_time() {
    let world = World::without_writer();
    let pod = local(json!({"containers": []}), json!({}));
    world.manager.set_pod_status(&pod, readiness(true));
    let before = condition(&world.status(&pod), "Ready");
    seconds(5).await;
    world.manager.set_pod_status(&pod, readiness(true));
    assert_eq!(condition(&world.status(&pod), "Ready"), before);
}

#[tokio::test(start_paused = true)]
async fn sync_pod_ignores_not_found() {
    let world = World::new();
    let pod = local(json!({"containers": []}), json!({}));
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), ["get pods default/foo: 404"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sync_pod_checks_mismatched_uid() {
    let world = World::new();
    world.create("foo").await;
    let other = local(json!({"containers": []}), json!({}));
    world.pods.lock().insert(Arc::clone(&other));
    world.manager.set_pod_status(&other, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), SAME);
    assert_eq!(world.message("foo").await, "");
    // What was said of it is of no use any more.
    assert_eq!(world.manager.status(&PodUid::of(&other)), None);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sync_pod_no_deadlock() {
    let world = World::new();
    let pod = world.create("foo").await;
    // The pod is gone.
    world.remove("foo").await;
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(told(&world.calls), ["get pods default/foo: 404"]);
    // It was made anew.
    let pod = world.create("foo").await;
    world.manager.set_pod_status(&pod, saying("b"));
    a_moment().await;
    assert!(told(&world.calls).ends_with(&WRITTEN.map(str::to_owned)));
    // It is to be deleted, and still runs.
    let pod = world.ask_to_delete("foo").await;
    world.manager.set_pod_status(&pod, saying("c"));
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    // The API server does not answer.
    let outage = world.outage();
    world.manager.set_pod_status(&pod, saying("d"));
    a_moment().await;
    assert_eq!(told(&world.calls), ["get pods default/foo: lost"]);
    outage.remove();
    seconds(10).await;
    assert_eq!(told(&world.calls), WRITTEN);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stale_updates() {
    let world = World::new();
    let pod = world.create("foo").await;
    for message in [
        "initial status",
        "first version bump",
        "second version bump",
    ] {
        world.manager.set_pod_status(&pod, saying(message));
    }
    a_moment().await;
    // Only the newest is written, once.
    assert_eq!(told(&world.calls), WRITTEN);
    assert_eq!(world.message("foo").await, "second version bump");
    world.observe("foo").await;
    seconds(60).await;
    assert_eq!(told(&world.calls), NOTHING);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn status_equality() {
    let world = World::new();
    let pod = world.create("foo").await;
    let uid = PodUid::of(&pod);
    let said = status(json!({
        "phase": "Running", "message": "", "podIPs": [],
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "c1", "image": "", "imageID": "", "ready": true,
            "restartCount": 0, "state": {"waiting": {}}}],
    }));
    world.manager.set_pod_status(&pod, said.clone());
    a_moment().await;
    world.observe("foo").await;
    assert!(!world.manager.needs_reconcile(&uid));
    // Conditions of others say nothing of what the agent says; nor does emptiness.
    let lit = json!({"conditions": [{"type": "example.com/lit", "status": "True"}]});
    world.overwrite("foo", lit).await;
    world.observe("foo").await;
    assert!(!world.manager.needs_reconcile(&uid));
    let mut again = said;
    again.message = None;
    again.pod_ips = None;
    world.manager.set_pod_status(&pod, again);
    seconds(60).await;
    assert_eq!(told(&world.calls), NOTHING);
    // And they survive what is written.
    world.manager.set_pod_status(&pod, readiness(false));
    a_moment().await;
    let published = world.published("foo").await.unwrap();
    assert_eq!(condition(&published, "example.com/lit").status, "True");
    assert_eq!(condition(&published, "Ready").status, "False");
    assert_eq!(published.container_statuses, None);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn static_pod() {
    let world = World::new();
    let mut pod = (*local(
        json!({"containers": [{"name": "c1", "image": "i"}]}),
        json!({}),
    ))
    .clone();
    let annotation = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    pod.metadata.annotations = Some([annotation("kubernetes.io/config.source", "file")].into());
    let pod = Arc::new(pod);
    world.pods.lock().insert(Arc::clone(&pod));

    // Without a mirror there is nothing to write to.
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    assert_eq!(world.status(&pod).message.as_deref(), Some("a"));
    seconds(10).await;
    assert_eq!(told(&world.calls), NOTHING);

    // With one, it is told, though nothing is new.
    let mut mirror = Pod {
        spec: pod.spec.clone(),
        ..Default::default()
    };
    mirror.spec.get_or_insert_default().node_name = Some("node".into());
    mirror.metadata.name = Some("foo".into());
    mirror.metadata.annotations =
        Some([annotation("kubernetes.io/config.mirror", "12345678")].into());
    let api = world.api();
    let mirror = api.create(&PostParams::default(), &mirror).await.unwrap();
    let mirror = world.observe(&mirror.name_any()).await;
    seconds(10).await;
    assert_eq!(told(&world.calls), WRITTEN);
    assert_eq!(world.message("foo").await, "a");
    // Either uid finds it.
    assert_eq!(
        world.manager.status(&PodUid::of(&mirror)),
        world.manager.status(&PodUid::of(&pod))
    );

    // A mirror that is made anew is told, as soon as it is known.
    world.remove("foo").await;
    world.pods.lock().remove(&mirror);
    let mut again = Pod::clone(&mirror);
    (again.metadata.uid, again.metadata.resource_version) = (None, None);
    again.status = None;
    api.create(&PostParams::default(), &again).await.unwrap();
    world.calls.take();
    world.manager.set_pod_status(&pod, saying("b"));
    a_moment().await;
    assert_eq!(told(&world.calls), NOTHING);
    world.observe("foo").await;
    seconds(10).await;
    assert_eq!(told(&world.calls), WRITTEN);
    assert_eq!(world.message("foo").await, "b");

    // It is gone from the directory for long, and its version is forgotten.
    world.manager.remove_orphaned(&HashSet::new());
    assert_eq!(world.manager.status(&PodUid::of(&pod)), None);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn terminate_pod() {
    let world = World::new();
    let pod = world.create("foo").await;
    let running = |name: &str| {
        json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {}}})
    };
    let said = status(json!({
        "phase": "Running",
        "containerStatuses": [running("c1"), running("c2")],
        "conditions": [{"type": "Ready", "status": "True"}],
    }));
    world.manager.set_pod_status(&pod, said);
    a_moment().await;
    world.calls.take();
    world.manager.terminate_pod(&pod);
    let ends = world.status(&pod);
    for container in ends.container_statuses.unwrap() {
        let end = container.state.unwrap().terminated.unwrap();
        assert_eq!(
            (end.exit_code, end.reason.unwrap().as_str()),
            (137, "ContainerStatusUnknown")
        );
    }
    assert_eq!(ends.phase.as_deref(), Some("Failed"));
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    let published = world.published("foo").await.unwrap();
    assert_eq!(published.phase.as_deref(), Some("Failed"));
    assert_eq!(
        condition(&published, "Ready").reason.as_deref(),
        Some("PodFailed")
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn terminate_pod_withholds_the_phase_while_containers_may_run() {
    let world = World::new();
    world.could_run.store(true, Ordering::Relaxed);
    let pod = world.create("foo").await;
    world
        .manager
        .set_pod_status(&pod, status(json!({"phase": "Running"})));
    a_moment().await;
    world
        .manager
        .set_pod_status(&pod, status(json!({"phase": "Failed"})));
    a_moment().await;
    let phase = world.published("foo").await.unwrap().phase;
    assert_eq!(phase.as_deref(), Some("Running"));
    world.could_run.store(false, Ordering::Relaxed);
    world.observe("foo").await;
    // What the API server has is not what was said: it is looked at again.
    seconds(10).await;
    let phase = world.published("foo").await.unwrap().phase;
    assert_eq!(phase.as_deref(), Some("Failed"));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_illegal_transition_is_not_taken() {
    let world = World::without_writer();
    let pod = local(
        json!({"restartPolicy": "Never", "containers": [{"name": "c1"}]}),
        json!({}),
    );
    let container = |state: Value| {
        status(
            json!({"containerStatuses": [{"name": "c1", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": state}]}),
        )
    };
    world
        .manager
        .set_pod_status(&pod, container(json!({"terminated": {"exitCode": 1}})));
    let before = world.status(&pod);
    world
        .manager
        .set_pod_status(&pod, container(json!({"running": {}})));
    assert_eq!(world.status(&pod), before);
}

#[tokio::test(start_paused = true)]
async fn reconcile_pod_status() {
    let world = World::new();
    let pod = world.create("foo").await;
    let uid = PodUid::of(&pod);
    world.manager.set_pod_status(&pod, saying("a"));
    a_moment().await;
    world.observe("foo").await;

    // The same.
    assert!(!world.manager.needs_reconcile(&uid));
    seconds(10).await;
    assert_eq!(told(&world.calls), NOTHING);

    // Somebody else says something of the pod: the agent knows better.
    world.overwrite("foo", json!({"message": "b"})).await;
    world.observe("foo").await;
    assert!(world.manager.needs_reconcile(&uid));
    seconds(10).await;
    assert_eq!(told(&world.calls), WRITTEN);
    assert_eq!(world.message("foo").await, "a");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn delete_pod_before_finished() {
    let world = World::new();
    world.create("foo").await;
    let pod = world.ask_to_delete("foo").await;
    world
        .manager
        .set_pod_status(&pod, status(json!({"phase": "Failed"})));
    a_moment().await;
    assert_eq!(told(&world.calls), WRITTEN);
    seconds(60).await;
    assert!(
        world.published("foo").await.is_some(),
        "its worker is not done"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn delete_pod_finished() {
    let world = World::new();
    world.create("foo").await;
    let pod = world.ask_to_delete("foo").await;
    world
        .manager
        .set_pod_status(&pod, status(json!({"phase": "Failed"})));
    a_moment().await;
    world.calls.take();
    world.manager.terminate_pod(&pod);
    a_moment().await;
    let calls = told(&world.calls);
    assert_eq!(
        calls.last().unwrap(),
        "delete pods default/foo: 200",
        "{calls:?}"
    );
    assert!(world.published("foo").await.is_none());
    assert_eq!(world.manager.status(&PodUid::of(&pod)), None);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_failed_is_made_up_for_by_the_batch() {
    let world = World::new();
    world.create("foo").await;
    let pod = world.ask_to_delete("foo").await;
    let refuse = Rule::new(Fault::internal()).verb(Verb::Delete).times(1);
    world.server.faults().add(refuse);
    world.manager.terminate_pod(&pod);
    a_moment().await;
    // The source of pods tells of the phase meanwhile.
    world.observe("foo").await;
    seconds(10).await;
    assert!(world.published("foo").await.is_none());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn do_not_delete_mirror_pods() {
    let world = World::new();
    let annotation = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut pod = (*local(
        json!({"containers": [{"name": "c1", "image": "i"}]}),
        json!({}),
    ))
    .clone();
    let mut mirror = Pod {
        spec: pod.spec.clone(),
        ..Default::default()
    };
    pod.metadata.annotations = Some([annotation("kubernetes.io/config.source", "api2")].into());
    mirror.metadata.name = Some("foo".into());
    mirror.spec.as_mut().unwrap().node_name = Some("n".into());
    mirror.metadata.annotations =
        Some([annotation("kubernetes.io/config.mirror", "12345678")].into());
    let pod = Arc::new(pod);
    world.pods.lock().insert(Arc::clone(&pod));
    let api = world.api();
    api.create(&PostParams::default(), &mirror).await.unwrap();
    world.ask_to_delete("foo").await;
    world
        .manager
        .set_pod_status(&pod, status(json!({"phase": "Succeeded"})));
    world.manager.terminate_pod(&pod);
    seconds(60).await;
    assert!(
        !told(&world.calls)
            .iter()
            .any(|call| call.starts_with("delete"))
    );
    let published = world.published("foo").await.unwrap();
    assert_eq!(published.phase.as_deref(), Some("Succeeded"));
    world.stop().await;
}

#[test]
fn need_to_reconcile_pod_readiness() {
    let pod = |gates: Value, conditions: Value| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "foo"},
            "spec": {"containers": [], "readinessGates": gates},
            "status": {"phase": "Running", "conditions": conditions},
        }))
        .unwrap()
    };
    let gate = json!([{"conditionType": "lit"}]);
    let ready = |word: &str| json!({"type": "Ready", "status": word});
    let lit = json!({"type": "lit", "status": "True"});
    for (case, gates, conditions, expected) in [
        ("no gates", json!([]), json!([ready("False")]), false),
        ("nothing was told yet", gate.clone(), json!([]), false),
        (
            "a gate opened",
            gate.clone(),
            json!([ready("False"), lit]),
            true,
        ),
        ("a gate closed", gate.clone(), json!([ready("True")]), true),
        ("as it is", gate.clone(), json!([ready("True"), lit]), false),
    ] {
        let pod = pod(gates, conditions);
        assert_eq!(needs_readiness_reconcile(&pod), expected, "{case}");
    }
}
