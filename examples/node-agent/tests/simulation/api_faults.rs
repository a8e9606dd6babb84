//! The API server goes away, and loses requests and answers.

use std::time::Duration;

use kubewright_apiserver::faults::{Call, Fault, Rule};
use kubewright_cri::testing::Behaviour;
use serde_json::json;

use crate::world::{World, agents, app};

const OUTAGE: u64 = 600;

fn is_write_of_pods(call: &Call) -> bool {
    call.is_write() && call.resource == "pods"
}

async fn life(world: &mut World) {
    world
        .runtime
        .behave("job", Behaviour::exits(Duration::from_secs(3), 0));
    world.create("web", app()).await;
    let containers = json!([{"name": "job", "image": "i"}]);
    world
        .create(
            "job",
            json!({"restartPolicy": "Never", "containers": containers}),
        )
        .await;
    world
        .until(60, "both are as wanted", |view| {
            view.is_ready("web") && view.phase("job") == Some("Succeeded")
        })
        .await;
    for name in ["web", "job"] {
        world.delete(name).await;
        world.until_gone(60, name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_write_of_pods_is_lost_before_and_after_and_conflicts() {
    let mut world = World::new(1).await;
    let calls = world.server.record();
    life(&mut world).await;
    let writes = calls.take().into_iter();
    let agent = |call: &Call| call.user_agent.as_deref() != Some("observer");
    let count = writes
        .filter(|call| is_write_of_pods(call) && agent(call))
        .count();
    world.stop().await;
    assert!(count >= 6, "{count}");
    for number in 1..=count as u64 {
        for fault in [
            Fault::LoseRequest,
            Fault::LoseAnswer,
            Fault::Conflict,
            Fault::internal(),
            Fault::DropWatches,
            Fault::Compact,
        ] {
            eprintln!("write {number}: {fault:?}");
            let mut world = World::new(1).await;
            let rule = agents(Rule::new(fault), is_write_of_pods).nth(number);
            world.server.faults().add(rule);
            life(&mut world).await;
            world.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_is_away_while_a_pod_runs() {
    let mut world = World::new(2).await;
    world.run("web", app()).await;
    world.api_goes();
    world.pass_by(OUTAGE / 2, 5).await;
    world.runtime.exit(&world.container_id("web", "app"), 1);
    world.pass_by(OUTAGE / 2, 5).await;
    assert_eq!(
        world.view().await.running("web"),
        ["app"],
        "it is healed without the server"
    );
    world.api_comes();
    world
        .until(60, "it is told", |view| view.restarts("web", "app") == 1)
        .await;
    world
        .until(60, "it is told", |view| view.is_ready("web"))
        .await;
    assert!(world.is_node_ready().await);
    world.delete("web").await;
    world.until_gone(60, "web").await;
    world.stop().await;
}

/// Containers of all kinds of pods die meanwhile: each pod goes its way, and all of it is told.
#[tokio::test(start_paused = true)]
async fn pods_die_while_the_server_is_away() {
    let mut world = World::new(9).await;
    world
        .runtime
        .behave("crash", Behaviour::exits(Duration::ZERO, 1));
    let pod = |policy: &str, name: &str| json!({"restartPolicy": policy, "containers": [{"name": name, "image": "i:1"}]});
    let running = ["always", "flaky", "done", "failed", "killed"];
    for (name, policy) in
        running
            .into_iter()
            .zip(["Always", "OnFailure", "OnFailure", "Never", "Never"])
    {
        world.run(name, pod(policy, "app")).await;
    }
    world.create("crash", pod("Always", "crash")).await;
    world.pass(3).await;
    world.api_goes();
    // How the containers end, and what becomes of their pods.
    for (name, code) in running.into_iter().zip([0, 3, 0, 3, 137]) {
        world.pass_by(40, 5).await;
        world.runtime.exit(&world.container_id(name, "app"), code);
    }
    world.pass_by(OUTAGE - 200, 10).await;
    let view = world.view().await;
    for (name, runs) in running.into_iter().zip([true, true, false, false, false]) {
        assert_eq!(!view.running(name).is_empty(), runs, "{name}");
    }
    let crashes = world.seconds_of("StartContainer", "crash/crash");
    assert!(crashes.len() >= 6, "{crashes:?}");
    world.api_comes();
    world
        .until(60, "all of it is told", |view| {
            let phases = running.map(|name| view.phase(name).unwrap_or_default());
            phases == ["Running", "Running", "Succeeded", "Failed", "Failed"]
                && ["always", "flaky"]
                    .iter()
                    .all(|name| view.restarts(name, "app") == 1)
        })
        .await;
    let newest = world.runtime.container("crash", "crash").unwrap();
    let attempt = i32::try_from(newest.metadata.unwrap().attempt).unwrap();
    assert_eq!(world.view().await.restarts("crash", "crash"), attempt);
    for name in running.into_iter().chain(["crash"]) {
        world.delete(name).await;
        world.until_gone(60, name).await;
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_server_is_away_while_a_pod_starts() {
    for after in [0, 1, 100, 1000] {
        let mut world = World::new(3).await;
        world.create("web", app()).await;
        world.step_by(Duration::from_millis(after)).await;
        world.api_goes();
        world.pass_by(OUTAGE, 5).await;
        world.api_comes();
        world
            .until(90, "it is ready", |view| view.is_ready("web"))
            .await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_is_away_while_a_pod_ends() {
    for after in [0, 1, 100, 2000] {
        let mut world = World::new(4).await;
        world.run("web", app()).await;
        world.delete("web").await;
        world.step_by(Duration::from_millis(after)).await;
        world.api_goes();
        world.pass_by(OUTAGE, 5).await;
        world.api_comes();
        world.until_gone(90, "web").await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_while_the_server_is_away() {
    let mut world = World::new(5).await;
    world
        .runtime
        .behave("job", Behaviour::exits(Duration::from_secs(30), 0));
    let containers = json!([{"name": "job", "image": "i"}]);
    world
        .run(
            "job",
            json!({"restartPolicy": "Never", "containers": containers}),
        )
        .await;
    world.api_goes();
    world.pass_by(OUTAGE, 5).await;
    world.api_comes();
    world
        .until(60, "it has succeeded", |view| {
            view.phase("job") == Some("Succeeded")
        })
        .await;
    assert_eq!(world.seconds_of("StartContainer", "job/job"), [0]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_deleted_by_force_while_the_server_cannot_be_reached() {
    let mut world = World::new(6).await;
    world.run("web", app()).await;
    world.api_goes();
    world.delete_within("web", Some(0)).await;
    world.pass_by(OUTAGE, 5).await;
    assert_eq!(world.view().await.running("web"), ["app"]);
    // Another one of the name has come by then.
    world.create("web", app()).await;
    world.api_comes();
    world
        .until(90, "the other runs", |view| {
            view.is_ready("web") && view.running("web").len() == 1
        })
        .await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_begins_without_the_server_kills_nothing() {
    let mut world = World::new(7).await;
    world.run("web", app()).await;
    world.run("gone", app()).await;
    let id = world.container_id("web", "app");
    world.kill().await;
    world.delete_within("gone", Some(0)).await;
    world.api_goes();
    world.start().await;
    world.pass_by(OUTAGE, 5).await;
    assert_eq!(world.container_id("web", "app"), id);
    assert_eq!(world.view().await.running("gone"), ["app"]);
    world.api_comes();
    world.until_gone(90, "gone").await;
    world.pass(30).await;
    assert_eq!(world.container_id("web", "app"), id);
    let view = world.view().await;
    assert!(view.is_ready("web") && view.restarts("web", "app") == 0);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn watches_are_dropped_again_and_again() {
    let mut world = World::new(8).await;
    for round in 0..10 {
        let name = format!("web-{round}");
        world.create(&name, app()).await;
        world.server.drop_watches();
        world
            .until(60, "it runs", |view| view.is_ready(&name))
            .await;
        world.delete(&name).await;
        world.server.drop_watches();
        world.until_gone(60, &name).await;
    }
    world.stop().await;
}
