//! Anything may fail at any time: what holds whatever happens.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::testing::{Behaviour, Fault};
use kubewright_cri::v1::ContainerState::{ContainerCreated, ContainerRunning};
use node_agent::pod::{PodName, PodUid};
use node_agent::runtime::{PodRuntime as _, RuntimeState};
use node_agent::worker::Outcome;
use proptest::prelude::*;
use serde_json::json;
use tokio::time::advance;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{Harness, SECOND, pod};

const CALLS: [&str; 10] = [
    "PodSandboxStatus",
    "ContainerStatus",
    "RunPodSandbox",
    "ImageStatus",
    "PullImage",
    "CreateContainer",
    "StartContainer",
    "StopContainer",
    "StopPodSandbox",
    "RemoveContainer",
];

/// What befalls the agent and its runtime.
#[derive(Clone, Debug)]
enum Blow {
    /// The next call of a kind is lost, before or after.
    Lose(&'static str, bool),
    /// The next call of a kind takes longer than anybody waits.
    Hang(&'static str),
    /// The agent is another one.
    Restart,
    /// A container ends.
    Exit(usize),
    /// The sandbox is lost.
    LoseSandbox,
    /// Time goes by.
    Wait(u64),
}

fn blows() -> impl Strategy<Value = Vec<Blow>> {
    let call = || proptest::sample::select(&CALLS[..]);
    let blow = prop_oneof![
        4 => (call(), any::<bool>()).prop_map(|(call, after)| Blow::Lose(call, after)),
        2 => call().prop_map(Blow::Hang),
        1 => Just(Blow::Restart),
        2 => (0..3_usize).prop_map(Blow::Exit),
        1 => Just(Blow::LoseSandbox),
        1 => (0..400_u64).prop_map(Blow::Wait),
    ];
    proptest::collection::vec(blow, 0..25)
}

fn subject() -> Pod {
    pod(json!({
        "terminationGracePeriodSeconds": 5,
        "initContainers": [
            {"name": "init", "image": "i:1"},
            {"name": "side", "image": "i:1", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:1"}],
    }))
}

async fn turn(harness: &Harness, pod: &Pod) -> bool {
    let token = CancellationToken::new();
    let work = async {
        let (uid, name) = (PodUid::of(pod), PodName::of(pod));
        let Ok(observed) = harness.manager.observe(&uid, &name).await else {
            return false;
        };
        let result = harness.sync_until(pod, &observed, &token).await;
        let names = ["side", "a", "b"];
        let runs = |name: &&str| {
            let container = observed.container(name);
            container.is_some_and(|it| it.state == RuntimeState::Running)
        };
        result.outcome() == Outcome::Done && !result.has_acted && names.iter().all(runs)
    };
    let limit = async {
        tokio::time::sleep(30 * SECOND).await;
        token.cancel();
        std::future::pending::<bool>().await
    };
    // The worker gives a turn up by its token, and the pod cache is asked outside of it.
    tokio::select! {
        settled = work => settled,
        () = tokio::time::sleep(60 * SECOND) => false,
        never = limit => never,
    }
}

/// What must hold at all times.
fn check(harness: &Harness) {
    let mut running: HashMap<String, u32> = HashMap::new();
    for (name, state, _) in harness.containers() {
        if state == ContainerRunning {
            *running.entry(name).or_default() += 1;
        }
    }
    assert!(running.values().all(|count| *count <= 1), "{running:?}");
    let mut counts: HashMap<String, Vec<u32>> = HashMap::new();
    for (name, _, restarts) in harness.containers() {
        counts.entry(name).or_default().push(restarts);
    }
    for (name, mut counts) in counts {
        let all = counts.len();
        counts.dedup();
        assert_eq!(counts.len(), all, "{name} has two of one count: {counts:?}");
    }
}

async fn play(blows: Vec<Blow>) {
    let mut harness = Harness::new();
    let pod = subject();
    harness.fake.behave("init", Behaviour::exits(SECOND, 0));
    for blow in blows {
        match blow {
            Blow::Lose(call, true) => harness.fake.fault(call, Fault::Lost),
            Blow::Lose(call, false) => harness.fake.fault(call, Fault::unavailable()),
            Blow::Hang(call) => harness.fake.fault(call, Fault::Delayed(3600 * SECOND)),
            Blow::Restart => harness.restart(),
            Blow::Exit(which) => {
                if let Some(it) = harness.fake.container("web", ["side", "a", "b"][which]) {
                    harness.fake.exit(&it.id, 1);
                }
            }
            Blow::LoseSandbox => {
                if let Some(sandbox) = harness.ready_sandboxes().pop() {
                    harness.fake.lose_sandbox(&sandbox.id);
                }
            }
            Blow::Wait(seconds) => advance(SECOND * u32::try_from(seconds).unwrap()).await,
        }
        turn(&harness, &pod).await;
        check(&harness);
    }
    harness.fake.clear_faults();
    let mut turns = 0;
    while !turn(&harness, &pod).await {
        check(&harness);
        turns += 1;
        assert!(turns < 60, "it does not settle: {:?}", harness.containers());
        advance(11 * SECOND).await;
    }
    assert_eq!(harness.ready_sandboxes().len(), 1);
    // Nothing that was made and not started is left of the sandbox that stays.
    let created = harness.containers().into_iter();
    let created: Vec<_> = created
        .filter(|(_, state, _)| *state == ContainerCreated)
        .collect();
    assert!(created.is_empty(), "{created:?}");
    let observed = harness.observe(&pod).await;
    harness
        .manager
        .kill_pod(Some(&pod), &observed, None)
        .await
        .unwrap();
    assert!(harness.observe(&pod).await.is_at_rest());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_doubled_or_stuck_whatever_happens(blows in blows()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(blows));
    }
}
