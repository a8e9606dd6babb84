//! Anything happens in any order.

use std::collections::BTreeSet;
use std::time::Duration;

use kubewright_cri::testing::{Behaviour, Fault};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, name_of, of_pod};

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Create(usize),
    Delete(usize, Option<u32>),
    /// A container that runs is killed.
    Exit(usize),
    /// A sandbox is lost.
    Lose(usize),
    /// The next call of a method is lost, before or after it took effect.
    Fail(&'static str, bool),
    Crash,
    Restart,
    Api(bool),
    Runtime(bool),
    DropWatches,
    Wait(u64),
}

const CALLS: [&str; 10] = [
    "ListContainers",
    "ContainerStatus",
    "RunPodSandbox",
    "PullImage",
    "CreateContainer",
    "StartContainer",
    "StopContainer",
    "StopPodSandbox",
    "RemoveContainer",
    "RemovePodSandbox",
];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let call = proptest::sample::select(&CALLS[..]);
    let grace = proptest::sample::select(&[None, Some(0), Some(1), Some(3)][..]);
    let event = prop_oneof![
        5 => (0..4_usize).prop_map(Event::Create),
        3 => (0..4_usize, grace).prop_map(|(pod, grace)| Event::Delete(pod, grace)),
        2 => (0..8_usize).prop_map(Event::Exit),
        1 => (0..4_usize).prop_map(Event::Lose),
        3 => (call, any::<bool>()).prop_map(|(call, after)| Event::Fail(call, after)),
        1 => Just(Event::Crash),
        1 => Just(Event::Restart),
        1 => any::<bool>().prop_map(Event::Api),
        1 => any::<bool>().prop_map(Event::Runtime),
        1 => Just(Event::DropWatches),
        5 => (0..15_000_u64).prop_map(Event::Wait),
        3 => (0..50_u64).prop_map(Event::Wait),
    ];
    proptest::collection::vec(event, 1..40)
}

/// Pods of four kinds.
fn spec(kind: usize) -> Value {
    let containers = |all: &[&str]| -> Vec<Value> {
        let all = all.iter();
        all.map(|name| json!({"name": name, "image": "i"}))
            .collect()
    };
    let mut spec = match kind {
        0 => json!({"containers": containers(&["app"])}),
        1 => json!({"containers": containers(&["job"]), "restartPolicy": "Never"}),
        2 => json!({
            "initContainers": [
                {"name": "init", "image": "i"},
                {"name": "side", "image": "i", "restartPolicy": "Always"},
            ],
            "containers": containers(&["app", "other"]),
        }),
        _ => json!({"containers": containers(&["deaf"]), "restartPolicy": "OnFailure"}),
    };
    spec["terminationGracePeriodSeconds"] = 4.into();
    spec
}

async fn play(events: Vec<Event>) {
    let mut world = World::new(1).await;
    world
        .runtime
        .behave("init", Behaviour::exits(Duration::from_secs(1), 0));
    world
        .runtime
        .behave("job", Behaviour::exits(Duration::from_secs(5), 0));
    world.runtime.behave("deaf", Behaviour::ignores_stop());
    for event in events {
        act(&mut world, event).await;
    }
    // From here on all goes well.
    world.runtime.clear_faults();
    if world.is_runtime_away() {
        world.runtime_comes();
    }
    if world.is_api_away() {
        world.api_comes();
    }
    if !world.has_agent() {
        world.start().await;
    }
    world.disturb();
    let wanted = BTreeSet::from_iter(names_of(&world).await);
    world
        .until(600, "all pods are as wanted", |view| {
            let settled = |pod: &String| {
                let phase = view.phase(pod);
                view.is_ready(pod) || phase == Some("Succeeded") || phase == Some("Failed")
            };
            let deleting = view
                .pods
                .iter()
                .any(|it| it.metadata.deletion_timestamp.is_some());
            let strays = view
                .containers
                .iter()
                .any(|it| it.state == 1 && !wanted.contains(of_pod(it)));
            !deleting
                && !strays
                && wanted
                    .iter()
                    .filter(|it| view.pod(it).is_some())
                    .all(settled)
        })
        .await;
    for name in names_of(&world).await {
        world.delete_if_there(&name, None).await;
    }
    world
        .until(120, "all pods are gone", |view| view.pods.is_empty())
        .await;
    world.pass_by(130, 10).await;
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{}",
        view.told()
    );
    let census = world.census();
    assert_eq!(
        (census.pods, census.workers, census.probes),
        (0, 0, 0),
        "{census:?}"
    );
    world.stop().await;
}

async fn names_of(world: &World) -> Vec<String> {
    let pods = world.view().await.pods.into_iter();
    pods.filter_map(|pod| pod.metadata.name).collect()
}

async fn act(world: &mut World, event: Event) {
    let pod = |number: usize| format!("pod-{number}");
    match event {
        Event::Create(number) => {
            if world.view().await.pod(&pod(number)).is_none() {
                world.create(&pod(number), spec(number)).await;
            }
        }
        Event::Delete(number, grace) => {
            world.delete_if_there(&pod(number), grace).await;
        }
        Event::Exit(number) => {
            let containers = world.runtime.containers().into_iter();
            // A job that is killed has failed, which is no lie.
            let mut running = containers.filter(|it| it.state == 1 && name_of(it) != "init");
            if let Some(container) = running.nth(number) {
                world.runtime.exit(&container.id, 137);
            }
        }
        Event::Lose(number) => {
            let sandboxes = world.runtime.sandboxes().into_iter();
            if let Some(sandbox) = sandboxes.filter(|it| it.state == 0).nth(number) {
                world.runtime.lose_sandbox(&sandbox.id);
            }
        }
        Event::Fail(call, true) => world.runtime.fault(call, Fault::Lost),
        Event::Fail(call, false) => world.runtime.fault(call, Fault::unavailable()),
        Event::Crash if world.has_agent() => world.kill().await,
        Event::Restart if world.has_agent() => {
            world.stop().await;
            world.start().await;
        }
        Event::Crash | Event::Restart => world.start().await,
        Event::Api(true) if !world.is_api_away() => world.api_goes(),
        Event::Api(_) => world.api_comes(),
        Event::Runtime(true) if !world.is_runtime_away() => world.runtime_goes(),
        Event::Runtime(_) => world.runtime_comes(),
        Event::DropWatches => world.server.drop_watches(),
        Event::Wait(millis) => drop(world.step_by(Duration::from_millis(millis)).await),
    }
    world.disturb();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_all_is_well_in_the_end(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(events));
    }
}
