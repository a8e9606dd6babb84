//! Workers under paused time; answers to `prober/prober_manager_test.go` and
//! `prober/results/results_manager_test.go`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kubewright_clock::Clock;
use node_agent::event::EventRecorder;
use node_agent::pod::{PodName, PodUid};
use node_agent::probe::{
    Answer, ProbeKind, ProbeManager, ProbeOptions, ProbeOutcome, ProbeResults as _, ProbeUpdate,
    Prober,
};
use node_agent::runtime::ObservedPod;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fixtures::{Script, at, bad, good, id, pod_with, running};

use ProbeOutcome::{Failure, Success, Unknown};

type Statuses = Arc<Mutex<HashMap<PodUid, Arc<PodStatus>>>>;

/// A manager at work on a script.
struct Rig {
    manager: ProbeManager,
    script: Script,
    statuses: Statuses,
    updates: mpsc::Receiver<ProbeUpdate>,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    fn new(script: Script) -> Self {
        Self::started_at(script, None)
    }

    fn started_at(script: Script, agent_started_at: Option<Instant>) -> Self {
        let statuses = Statuses::default();
        let seen = Arc::clone(&statuses);
        let (sender, updates) = mpsc::channel(1);
        let mut options = ProbeOptions::default();
        options.agent_started_at = agent_started_at;
        options.seed = 3;
        let (manager, driver) = ProbeManager::new(
            Prober::new(script.clone(), EventRecorder::disabled()),
            Arc::new(move |uid: &PodUid| seen.lock().get(uid).cloned()),
            sender,
            Clock::starting_at(at(0)),
            options,
        );
        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run(token.clone()));
        Self {
            manager,
            script,
            statuses,
            updates,
            token,
            tasks,
        }
    }

    /// Probes a pod of which nothing runs yet.
    fn add(&self, pod: &Arc<Pod>) {
        let nothing = ObservedPod::unknown(PodUid::of(pod), PodName::of(pod));
        self.manager.add_pod(pod, &nothing);
    }

    fn set(&self, pod: &Pod, status: PodStatus) {
        self.statuses
            .lock()
            .insert(PodUid::of(pod), Arc::new(status));
    }

    /// The updates until `time` from now.
    async fn during(&mut self, time: Duration) -> Vec<(ProbeKind, ProbeOutcome)> {
        let end = Instant::now() + time;
        let mut seen = Vec::new();
        while let Ok(Some(update)) = tokio::time::timeout_at(end, self.updates.recv()).await {
            assert_eq!(update.pod.as_str(), "7");
            seen.push((update.kind, update.outcome));
        }
        seen
    }

    fn result(&self, kind: ProbeKind, container: &str) -> Option<ProbeOutcome> {
        self.manager.result(kind, &id(container))
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pod(kind: ProbeKind) -> Arc<Pod> {
    let mut probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 5});
    probe["failureThreshold"] = json!(2);
    Arc::new(pod_with(kind, probe))
}

fn all_probes() -> Arc<Pod> {
    let mut pod = pod_with(ProbeKind::Liveness, json!({"exec": {"command": ["true"]}}));
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.readiness_probe = container.liveness_probe.clone();
    container.startup_probe = container.liveness_probe.clone();
    let mut sidecar = container.clone();
    sidecar.name = "sidecar".into();
    sidecar.restart_policy = Some("Always".into());
    let mut init = container.clone();
    init.name = "init".into();
    let mut bare = container.clone();
    bare.name = "bare".into();
    (
        bare.liveness_probe,
        bare.readiness_probe,
        bare.startup_probe,
    ) = (None, None, None);
    let spec = pod.spec.as_mut().unwrap();
    spec.containers.push(bare);
    spec.init_containers = Some(vec![sidecar, init]);
    Arc::new(pod)
}

#[tokio::test(start_paused = true)]
async fn add_remove_pods() {
    let rig = Rig::new(Script::always(good()));
    let pod = all_probes();
    rig.add(&pod);
    // Three of the container, three of the sidecar; plain init containers have none.
    assert_eq!(rig.manager.len(), 6);
    rig.add(&pod);
    assert_eq!(rig.manager.len(), 6);
    rig.manager.remove_pod(&PodUid::new("other"));
    assert_eq!(rig.manager.len(), 6);
    rig.manager.remove_pod(&PodUid::of(&pod));
    assert!(rig.manager.is_empty());
    rig.manager.remove_pod(&PodUid::of(&pod));
}

#[tokio::test(start_paused = true)]
async fn cleanup_pods() {
    let mut rig = Rig::new(Script::always(good()));
    let kept = pod(ProbeKind::Readiness);
    let mut gone = Pod::clone(&kept);
    gone.metadata.uid = Some("gone".into());
    let gone = Arc::new(gone);
    rig.set(&kept, running("kept", true));
    rig.set(&gone, running("gone", true));
    rig.add(&gone);
    sleep(seconds(1)).await;
    while rig.updates.try_recv().is_ok() {
        sleep(seconds(1)).await;
    }
    rig.add(&kept);
    rig.during(seconds(1)).await;
    assert_eq!(rig.result(ProbeKind::Readiness, "gone"), Some(Success));
    assert_eq!(rig.result(ProbeKind::Readiness, "kept"), Some(Success));

    let wanted = HashSet::from([PodUid::of(&kept)]);
    for _ in 0..3 {
        rig.manager.cleanup_pods(&wanted);
        assert_eq!(rig.result(ProbeKind::Readiness, "gone"), None);
        assert_eq!(rig.result(ProbeKind::Readiness, "kept"), Some(Success));
        assert_eq!(rig.manager.len(), 1);
        sleep(seconds(11)).await;
    }
}

/// Answers to `TestUpdates` and `TestCacheOperations` of the results: changes alone are published,
/// and the first result is one.
#[tokio::test(start_paused = true)]
async fn updates() {
    let mut rig = Rig::new(Script::always(good()));
    let pod = pod(ProbeKind::Readiness);
    let kind = ProbeKind::Readiness;
    rig.set(&pod, running("a", true));
    rig.add(&pod);
    let first = rig.during(seconds(60)).await;
    assert_eq!(first, [(kind, Failure), (kind, Success)]);
    rig.script.set(bad());
    assert_eq!(rig.during(seconds(60)).await, [(kind, Failure)]);
    rig.script.set(good());
    assert_eq!(rig.during(seconds(60)).await, [(kind, Success)]);

    // Another container has results of its own.
    rig.set(&pod, running("b", true));
    let second = rig.during(seconds(60)).await;
    assert_eq!(second, [(kind, Failure), (kind, Success)]);
    assert_eq!(rig.result(kind, "a"), None);
    assert_eq!(rig.result(kind, "b"), Some(Success));
    rig.manager.remove_pod(&PodUid::of(&pod));
    assert_eq!(rig.result(kind, "b"), None);
    assert_eq!(rig.during(seconds(60)).await, []);
}

#[tokio::test(start_paused = true)]
async fn probes_come_in_their_period() {
    let mut rig = Rig::new(Script::always(good()));
    let pod = pod(ProbeKind::Liveness);
    rig.set(&pod, running("a", true));
    rig.add(&pod);
    rig.during(Duration::from_millis(4_900)).await;
    assert_eq!(rig.script.asked(), 1);
    rig.during(seconds(50)).await;
    assert_eq!(rig.script.asked(), 11);
}

/// Answers to `TestCleanUp`: a worker that is stopped asks no more.
#[tokio::test(start_paused = true)]
async fn clean_up() {
    for kind in ProbeKind::ALL {
        let mut rig = Rig::new(Script::always(good()));
        let pod = pod(kind);
        rig.set(&pod, running("a", kind != ProbeKind::Startup));
        rig.add(&pod);
        rig.during(seconds(7)).await;
        let asked = rig.script.asked();
        assert_eq!(asked, 2, "{kind}");
        rig.manager.remove_pod(&PodUid::of(&pod));
        rig.during(seconds(60)).await;
        assert_eq!(rig.script.asked(), asked, "{kind}");
        assert_eq!(rig.result(kind, "a"), None, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_ended_keeps_its_readiness_probe_and_its_results() {
    let mut rig = Rig::new(Script::always(good()));
    let pod = all_probes();
    rig.set(&pod, running("a", false));
    rig.add(&pod);
    let started = rig.during(seconds(1)).await;
    assert!(
        started.contains(&(ProbeKind::Startup, Success)),
        "{started:?}"
    );
    rig.set(&pod, running("a", true));
    rig.during(seconds(20)).await;
    rig.manager.stop_liveness_and_startup(&PodUid::of(&pod));
    rig.script.set(bad());
    assert_eq!(
        rig.during(seconds(60)).await,
        [(ProbeKind::Readiness, Failure)]
    );
    assert_eq!(rig.result(ProbeKind::Startup, "a"), Some(Success));
    assert_eq!(rig.result(ProbeKind::Liveness, "a"), Some(Success));
    // It is not probed anew because somebody asks for the same again.
    rig.add(&pod);
    assert_eq!(rig.during(seconds(60)).await, []);
}

/// Answers to the manual trigger of `TestUpdatePodStatus..`: a probe does not wait for its period
/// once its container has started.
#[tokio::test(start_paused = true)]
async fn readiness_is_asked_at_once_when_something_has_changed() {
    let mut rig = Rig::new(Script::always(good()));
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1000});
    let pod = Arc::new(pod_with(ProbeKind::Readiness, probe));
    let uid = PodUid::of(&pod);
    rig.set(&pod, running("a", false));
    rig.add(&pod);
    let kind = ProbeKind::Readiness;
    assert_eq!(rig.during(seconds(1)).await, [(kind, Failure)]);
    rig.set(&pod, running("a", true));
    rig.manager.prompt(&uid);
    assert_eq!(rig.during(seconds(1)).await, [(kind, Success)]);
    // One that has succeeded has time.
    rig.manager.prompt(&uid);
    rig.during(seconds(1)).await;
    assert_eq!(rig.script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn startup_gates_the_others_and_failures_hold_until_there_is_a_new_container() {
    let mut rig = Rig::new(Script::always(bad()));
    let pod = pod(ProbeKind::Startup);
    rig.set(&pod, running("a", false));
    rig.add(&pod);
    let kind = ProbeKind::Startup;
    let failed = rig.during(seconds(60)).await;
    assert_eq!(failed, [(kind, Unknown), (kind, Failure)]);
    assert_eq!(rig.script.asked(), 2);
    rig.set(&pod, running("b", false));
    rig.script.set(good());
    let replaced = rig.during(seconds(60)).await;
    assert_eq!(replaced, [(kind, Unknown), (kind, Success)]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_asked_leaves_its_result() {
    let script = Script::of([Err(node_agent::probe::ProbeError::Answer("?".into()))]);
    let mut rig = Rig::new(script);
    let pod = pod(ProbeKind::Liveness);
    rig.set(&pod, running("a", true));
    rig.add(&pod);
    let first = rig.during(seconds(11)).await;
    assert_eq!(first, [(ProbeKind::Liveness, Success)]);
    assert_eq!(rig.script.asked(), 9);
}

#[tokio::test(start_paused = true)]
async fn probes_are_spread_when_the_agent_was_just_started() {
    // The agent was started as the clock began: all first probes come within one period.
    let mut rig = Rig::started_at(Script::always(good()), Some(Instant::now()));
    let mut times = HashSet::new();
    for number in 0..8 {
        let mut pod = Pod::clone(&pod(ProbeKind::Readiness));
        pod.metadata.uid = Some(number.to_string());
        rig.set(&pod, running(&format!("c{number}"), true));
        rig.add(&Arc::new(pod));
    }
    let start = Instant::now();
    for _ in 0..16 {
        let update = rig.updates.recv().await.unwrap();
        if update.outcome == Success {
            times.insert(start.elapsed().as_millis());
        }
    }
    assert!(start.elapsed() < seconds(5));
    assert!(times.len() > 4, "{times:?}");
}

/// A probe that panics says nothing, and the next one is asked.
#[tokio::test(start_paused = true)]
async fn handle_crash() {
    let mut rig = Rig::new(Script::always(good()));
    let pod = pod(ProbeKind::Readiness);
    rig.set(&pod, running("a", true));
    rig.add(&pod);
    let expected = [Failure, Success].map(|outcome| (ProbeKind::Readiness, outcome));
    assert_eq!(rig.during(seconds(11)).await, expected);
    rig.script.crash();
    let asked = rig.script.asked();
    assert_eq!(rig.during(seconds(11)).await, []);
    assert!(rig.script.asked() > asked + 1, "it goes on");
    assert_eq!(rig.result(ProbeKind::Readiness, "a"), Some(Success));
    rig.script.set(bad());
    let next = rig.during(seconds(11)).await;
    assert_eq!(next, [(ProbeKind::Readiness, Failure)]);
}

#[tokio::test(start_paused = true)]
async fn no_worker_outlives_its_driver() {
    for graceful in [true, false] {
        let mut rig = Rig::new(Script::always(Answer::Success(String::new())));
        let pod = pod(ProbeKind::Liveness);
        rig.set(&pod, running("a", true));
        rig.add(&pod);
        rig.during(seconds(1)).await;
        if graceful {
            rig.token.cancel();
            rig.tasks.join_next().await.unwrap().unwrap();
        } else {
            rig.tasks.shutdown().await;
        }
        // All senders are gone with the workers.
        assert_eq!(rig.updates.recv().await, None);
        let asked = rig.script.asked();
        sleep(seconds(60)).await;
        assert_eq!(rig.script.asked(), asked);
    }
}
