//! The runtime goes away, is slow, and loses calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use kubewright_cri::Status;
use kubewright_cri::testing::{Behaviour, Fault};
use serde_json::{Value, json};

use crate::world::{World, app};

/// The calls whose loss may leave something behind. Others only look.
const EFFECTIVE: [&str; 9] = [
    "RunPodSandbox",
    "PullImage",
    "CreateContainer",
    "StartContainer",
    "StopContainer",
    "StopPodSandbox",
    "RemoveContainer",
    "RemovePodSandbox",
    "ExecSync",
];

/// Calls that only look at pods.
const LOOKS: [&str; 5] = [
    "ListPodSandbox",
    "ListContainers",
    "ContainerStatus",
    "PodSandboxStatus",
    "ImageStatus",
];

/// Calls that are about the node: its images, logs and disks.
const OF_THE_NODE: [&str; 8] = [
    "Version",
    "RuntimeConfig",
    "Status",
    "ImageFsInfo",
    "ListImages",
    "ListContainerStats",
    "ReopenContainerLog",
    "RemoveImage",
];

fn spec() -> Value {
    json!({
        "terminationGracePeriodSeconds": 3,
        "initContainers": [
            {"name": "init", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always"},
        ],
        "containers": [{
            "name": "app",
            "image": "j",
            "lifecycle": {
                "postStart": {"exec": {"command": ["a"]}},
                "preStop": {"exec": {"command": ["b"]}},
            },
        }],
    })
}

async fn world(seed: u64) -> World {
    let mut world = World::idle(seed).await;
    // Nobody has to wait for that.
    world.options.container_gc_period = Duration::from_secs(10);
    world.start().await;
    world.until_ready().await;
    world
        .runtime
        .behave("init", Behaviour::exits(Duration::from_secs(1), 0));
    world.runtime.take_calls();
    world
}

/// A pod comes, one of its containers is killed, and it goes.
async fn life(world: &mut World) {
    world.create("web", spec()).await;
    world
        .until(200, "it is ready", |view| view.is_ready("web"))
        .await;
    let before = world.view().await.restarts("web", "app");
    world.runtime.exit(&world.container_id("web", "app"), 137);
    world
        .until(200, "it is ready again", |view| {
            view.is_ready("web") && view.restarts("web", "app") > before
        })
        .await;
    world.delete("web").await;
    world.until_gone(200, "web").await;
    world.pass_by(40, 10).await;
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{}",
        view.told()
    );
}

/// How often each call comes in a life that nothing befalls.
async fn count(methods: &[&'static str]) -> BTreeMap<&'static str, usize> {
    let mut world = world(1).await;
    life(&mut world).await;
    let calls = world.runtime.calls();
    let of = |method: &str| calls.iter().filter(|call| call.method == method).count();
    let counts = methods.iter().map(|method| (*method, of(method)));
    counts.collect()
}

/// The node of a life of one that has little, and whose agent does not run yet.
async fn idle() -> World {
    let mut world = World::idle(1).await;
    world.config.image_maximum_age = Some(Duration::from_secs(1));
    world.config.container_log_max_size = 10;
    let threshold = "1Mi".parse().unwrap();
    world
        .config
        .eviction_hard
        .insert("memory.available".into(), threshold);
    world
}

/// A node comes up, has a pod whose log grows, and gets rid of its image.
async fn life_of_node(world: &mut World) {
    world.start().await;
    world.until_ready().await;
    // Of others nobody has to know how much they use.
    let mut limited = app();
    limited["containers"][0]["resources"] = json!({"limits": {"ephemeral-storage": "1Gi"}});
    world.run("web", limited).await;
    let log = world.runtime.container("web", "app").unwrap().log_path;
    fs::write(&log, "more than there may be").unwrap();
    let directory = Path::new(&log).parent().unwrap();
    // Fake runtimes begin no logs anew.
    let is_rotated = || {
        let is_reopened = world.runtime.calls().into_iter();
        let count = is_reopened
            .filter(|it| it.method == "ReopenContainerLog")
            .count();
        count > 0 && !Path::new(&log).exists() && fs::read_dir(directory).unwrap().count() == 1
    };
    for _ in 0..12 {
        if is_rotated() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(is_rotated());
    world.delete("web").await;
    world.until_gone(60, "web").await;
    for _ in 0..120 {
        world.pass_by(10, 10).await;
        if world.runtime.image_count() == 0 {
            break;
        }
    }
    assert_eq!(world.runtime.image_count(), 0);
    assert!(world.is_node_ready().await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_about_the_node_are_lost() {
    let mut world = idle().await;
    life_of_node(&mut world).await;
    let calls = world.runtime.calls();
    world.stop().await;
    let count = |method| calls.iter().filter(|call| call.method == method).count();
    for index in 0..2 {
        for is_done in [false, true] {
            // None of them has to do with another, so that one life will do.
            let mut world = idle().await;
            for method in OF_THE_NODE {
                assert!(count(method) > 0, "{method} is not called");
                lose(&world, method, index, is_done);
            }
            life_of_node(&mut world).await;
            world.stop().await;
        }
    }
    // None is left out here that the agent makes of itself.
    let known = [&EFFECTIVE[..], &LOOKS, &OF_THE_NODE].concat();
    let mut world = self::world(1).await;
    life(&mut world).await;
    let all = calls.into_iter().chain(world.runtime.calls());
    let unknown: BTreeSet<_> = all.map(|call| call.method).collect();
    let unknown: Vec<_> = unknown
        .into_iter()
        .filter(|it| !known.contains(it))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    world.stop().await;
}

/// The call of this number is lost, before or after it took effect.
fn lose(world: &World, method: &'static str, index: usize, is_done: bool) {
    eprintln!("{method} {index}, lost after: {is_done}");
    for _ in 0..index {
        world.runtime.fault(method, Fault::Delayed(Duration::ZERO));
    }
    let fault = if is_done {
        Fault::Lost
    } else {
        Fault::unavailable()
    };
    world.runtime.fault(method, fault);
}

async fn lose_each(methods: &[&'static str], most: usize) {
    let counts = count(methods).await;
    for (method, count) in counts {
        for index in 0..count.min(most) {
            for is_done in [false, true] {
                let mut world = world(1).await;
                lose(&world, method, index, is_done);
                life(&mut world).await;
                world.stop().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_that_does_something_is_lost_before_and_after() {
    lose_each(&EFFECTIVE, usize::MAX).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_only_look_are_lost() {
    lose_each(&LOOKS, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_hangs() {
    for method in [
        "RunPodSandbox",
        "StartContainer",
        "StopContainer",
        "ListContainers",
    ] {
        let mut world = world(2).await;
        eprintln!("{method} hangs");
        // While it is waited for, the status is what it was before.
        world.watchdog.lag = Duration::from_secs(180);
        world.watchdog.leak = Duration::from_secs(240);
        world
            .runtime
            .fault(method, Fault::Delayed(Duration::from_secs(3600)));
        world.create("web", spec()).await;
        world
            .until(400, "it is ready", |view| view.is_ready("web"))
            .await;
        world.delete("web").await;
        world.until_gone(400, "web").await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_runtime_is_restarted_at_any_point() {
    // How long after the pod was created it goes away, and for how long.
    for (after, lasts) in [
        (0, 5_000),
        (1, 5_000),
        (500, 5_000),
        (1_000, 70_000),
        (1_500, 5_000),
        (3_000, 70_000),
        (3_000, 300_000),
    ] {
        let mut world = world(3).await;
        world.create("web", spec()).await;
        world.step_by(Duration::from_millis(after)).await;
        world.runtime_goes();
        world.step_by(Duration::from_millis(lasts)).await;
        world.runtime_comes();
        world
            .until(60, "it is ready", |view| view.is_ready("web"))
            .await;
        assert_eq!(
            world.view().await.restarts("web", "app"),
            0,
            "{after} {lasts}"
        );

        world.delete("web").await;
        world.step_by(Duration::from_millis(after)).await;
        world.runtime_goes();
        world.step_by(Duration::from_millis(lasts)).await;
        world.runtime_comes();
        world.until_gone(60, "web").await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn containers_die_while_the_runtime_is_away() {
    let mut world = world(4).await;
    world.run("web", app()).await;
    let id = world.container_id("web", "app");
    world.runtime_goes();
    world.pass(60).await;
    assert!(
        !world.is_node_ready().await,
        "the node tells that its runtime is away"
    );
    world.runtime.exit(&id, 1);
    world.runtime_comes();
    world
        .until(30, "it is started again", |view| {
            view.restarts("web", "app") == 1 && view.is_ready("web")
        })
        .await;
    assert!(world.is_node_ready().await);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_runtime_is_waited_for() {
    let mut world = world(5).await;
    for method in EFFECTIVE.into_iter().chain(LOOKS).chain(["Status"]) {
        for _ in 0..400 {
            world
                .runtime
                .fault(method, Fault::Delayed(Duration::from_secs(2)));
        }
    }
    world.create("web", spec()).await;
    world
        .until(180, "it is ready", |view| view.is_ready("web"))
        .await;
    world.delete("web").await;
    world.until_gone(120, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_made_is_told_of_once() {
    let mut world = World::new(30).await;
    let refused = Fault::Refused(Status::internal("no address is left"));
    world.runtime.fault("RunPodSandbox", refused);
    world.run("web", app()).await;
    world.pass(5).await;
    let events = world.events("web").await;
    let told: Vec<_> = events
        .iter()
        .filter(|it| it.contains("no address"))
        .collect();
    let [once] = told[..] else {
        panic!("{events:?}");
    };
    assert!(once.starts_with("FailedCreatePodSandBox: "), "{once}");
    assert!(!world.has_event("web", "FailedSync").await, "{events:?}");
    world.stop().await;
}
