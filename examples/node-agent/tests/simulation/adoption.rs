//! The agent is killed and started again: what runs goes on.

use std::time::Duration;

use kube_client::api::PostParams;
use kubewright_apiserver::faults::Fault;
use kubewright_cri::testing::Behaviour;
use serde_json::json;

use crate::world::{View, World, app, pod};

/// At how many points the agent is killed.
const POINTS: u64 = 50;

#[tokio::test(start_paused = true)]
async fn nothing_is_restarted_when_the_agent_is() {
    let mut world = World::new(1).await;
    world
        .runtime
        .behave("init", Behaviour::exits(Duration::from_secs(1), 0));
    world
        .runtime
        .behave("job", Behaviour::exits(Duration::from_secs(1), 0));
    let spec = json!({
        "terminationGracePeriodSeconds": 5,
        "initContainers": [
            {"name": "init", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always"},
        ],
        "containers": [{
            "name": "app",
            "image": "i",
            "readinessProbe": {"exec": {"command": ["true"]}},
            "livenessProbe": {"exec": {"command": ["true"]}},
            "startupProbe": {"exec": {"command": ["true"]}},
        }],
    });
    world.run("web", spec).await;
    let containers = json!([{"name": "job", "image": "i"}]);
    world
        .create(
            "job",
            json!({"restartPolicy": "Never", "containers": containers}),
        )
        .await;
    world
        .until(20, "the job is done", |view| {
            view.phase("job") == Some("Succeeded")
        })
        .await;
    let before = world.running();
    for is_crash in [true, false, true] {
        if is_crash {
            world.kill().await;
        } else {
            world.stop().await;
        }
        world.runtime.take_calls();
        world.start().await;
        for _ in 0..120 {
            world.step().await;
            let view = world.view().await;
            assert!(view.is_ready("web"), "{}", view.told());
            assert_eq!(world.running(), before);
        }
        let calls = world.runtime.take_calls();
        let changing = [
            "RunPodSandbox",
            "CreateContainer",
            "StartContainer",
            "StopContainer",
        ];
        let changed: Vec<_> = calls
            .iter()
            .filter(|it| changing.contains(&it.method))
            .collect();
        assert!(changed.is_empty(), "{changed:?}");
    }
    let view = world.view().await;
    assert_eq!(view.restarts("web", "app"), 0);
    world.delete("web").await;
    world.delete("job").await;
    world.until_gone(20, "web").await;
    world.until_gone(20, "job").await;
    world.stop().await;
}

/// An agent that is killed before it told how the containers of a pod ended leaves it to the next one
/// to tell, so it leaves the containers as well.
#[tokio::test(start_paused = true)]
async fn how_containers_ended_is_not_forgotten_before_it_is_told() {
    let mut world = World::new(3).await;
    let mut held = pod("held", app());
    // It is there to be looked at when it is over.
    held.metadata.finalizers = Some(vec!["kubewright.example/held".to_owned()]);
    let held = world.pods().create(&PostParams::default(), &held).await;
    held.unwrap();
    world
        .until(20, "it runs", |view| view.is_ready("held"))
        .await;
    let lost = world.api_fault(Fault::LoseRequest, |call| {
        call.is_write() && call.resource == "pods"
    });
    world.delete("held").await;
    world.pass(5).await;
    assert!(world.running().is_empty());
    world.api_goes();
    lost.remove();
    // Dead containers are collected meanwhile.
    world.pass(150).await;
    assert_eq!(world.runtime.containers().len(), 1);
    world.kill().await;
    world.api_comes();
    world.start().await;
    let code = |view: &View| {
        let state = view.container("held", "app")?.state.clone()?;
        Some(state.terminated?.exit_code)
    };
    world
        .until(60, "its end is told", |view| code(view).is_some())
        .await;
    assert_eq!(code(&world.view().await), Some(143));
    world.pass(150).await;
    assert!(world.runtime.containers().is_empty());
    world.stop().await;
}

/// Pods come and go while the agent is killed at a moment that the seed says.
async fn killed_at(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut world = World::new(seed).await;
    world
        .runtime
        .behave("init", Behaviour::exits(Duration::from_secs(1), 0));
    world
        .runtime
        .behave("job", Behaviour::exits(Duration::from_secs(4), 0));
    let job = json!([{"name": "job", "image": "i"}]);
    let job = json!({"restartPolicy": "Never", "containers": job});
    let init = json!({
        "terminationGracePeriodSeconds": 5,
        "initContainers": [{"name": "init", "image": "i"}],
        "containers": [{"name": "app", "image": "i"}, {"name": "other", "image": "i"}],
    });
    world.run("old", app()).await;
    world.create("init", init).await;
    world.create("job", job).await;
    // Half of the moments are where most happens.
    let range = if chance.bool() { 0..60 } else { 0..6000 };
    world
        .step_by(Duration::from_millis(chance.u64(range.clone())))
        .await;
    let is_deleted_before = chance.bool();
    if is_deleted_before {
        world.delete("old").await;
        world
            .step_by(Duration::from_millis(chance.u64(range)))
            .await;
    }
    let before = world.running();
    world.kill().await;
    if !is_deleted_before {
        world.delete("old").await;
    }
    world
        .step_by(Duration::from_millis(chance.u64(0..20_000)))
        .await;
    world.start().await;
    world.until_gone(60, "old").await;
    world
        .until(60, "all is as wanted", |view| {
            view.is_ready("init") && view.phase("job") == Some("Succeeded")
        })
        .await;
    let view = world.view().await;
    assert_eq!(view.restarts("init", "app"), 0, "seed {seed}");
    assert_eq!(view.restarts("init", "other"), 0, "seed {seed}");
    let after = world.running();
    for (key, id) in before {
        if key.0 == "init" && key.1 != "init" {
            assert_eq!(
                after.get(&key),
                Some(&id),
                "seed {seed}: {key:?} was restarted"
            );
        }
    }
    assert_eq!(
        world.seconds_of("StartContainer", "job/job").len(),
        1,
        "seed {seed}"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_killed_at_many_points() {
    let first = 4200;
    for seed in first..first + POINTS {
        eprintln!("seed {seed}");
        killed_at(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_deleted_by_force_while_nobody_looked_is_ended() {
    let mut world = World::new(2).await;
    world.run("web", app()).await;
    world.kill().await;
    world.delete_within("web", Some(0)).await;
    world.pass(5).await;
    world.start().await;
    world.until_gone(20, "web").await;
    world.pass_by(200, 5).await;
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{}",
        view.told()
    );
    assert_eq!(world.census().workers, 0);
    world.stop().await;
}
