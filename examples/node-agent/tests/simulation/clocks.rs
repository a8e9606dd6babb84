//! Clocks show different times, and are set.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use kube_client::api::Api;
use kubewright_clock::{Clock, ClockSetter};
use kubewright_cri::testing::Behaviour;
use serde_json::{Value, json};

use crate::world::{NODE, World, app};

/// When a clock is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// Before the agent is started.
    Before,
    /// While a container waits to be started again.
    Meanwhile,
}

/// Whose clock it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whose {
    /// The agent's alone.
    Agent,
    /// That of the machine: the agent's and the runtime's.
    Machine,
}

fn crash() -> Value {
    json!({"containers": [{"name": "crash", "image": "i:1"}], "terminationGracePeriodSeconds": 1})
}

/// A pod that has little more than 5 min, and whose container takes 20 s to begin.
fn limited() -> Value {
    let probe = json!({
        "exec": {"command": ["true"]}, "initialDelaySeconds": 20, "periodSeconds": 2,
        "failureThreshold": 1,
    });
    json!({
        "activeDeadlineSeconds": 320,
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "slow", "image": "i:1", "livenessProbe": probe, "readinessProbe": probe},
        ],
    })
}

/// What `count` seconds after the first start the next ones come.
fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn check_gaps(gaps: &[u64], expected: &[u64], case: &str) {
    assert_eq!(gaps.len(), expected.len(), "{case}: {gaps:?}");
    for (gap, expected) in gaps.iter().zip(expected) {
        assert!((*expected..=expected + 2).contains(gap), "{case}: {gaps:?}");
    }
}

async fn renewed_at(world: &World) -> jiff::Timestamp {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "kube-node-lease");
    let lease = leases.get(NODE).await.unwrap().spec.unwrap();
    lease.renew_time.unwrap().0
}

async fn set_by(hours: i64, whose: Whose, when: When) {
    let case = format!("{whose:?} {hours} h {when:?}");
    eprintln!("{case}");
    let by = SignedDuration::from_hours(hours);
    let mut world = World::idle(1).await;
    let (clock, agents): (Clock, ClockSetter) = Clock::settable(world.clock.now());
    if whose == Whose::Agent {
        world.clock = clock;
    }
    let set = |world: &World| match whose {
        Whose::Agent => agents.adjust(by),
        Whose::Machine => world.machine.adjust(by),
    };
    if when == When::Before {
        set(&world);
    }
    world
        .runtime
        .behave("crash", Behaviour::exits(Duration::ZERO, 1));
    world.start().await;
    world.until_ready().await;
    let begin = tokio::time::Instant::now();
    world.create("limited", limited()).await;
    world.create("crash", crash()).await;
    world.run("web", app()).await;
    // It is in the middle of the wait of 40 s then.
    world.pass_by(45, 5).await;
    let before = world.running();
    let renewed = renewed_at(&world).await;
    if when == When::Meanwhile {
        set(&world);
        world.disturb();
    }
    world.pass_by(45, 5).await;
    assert!(renewed_at(&world).await > renewed, "{case}");

    // What began after the clock was set goes its way as well.
    world.create("late", limited()).await;
    world
        .until(15, "it runs", |view| !view.running("late").is_empty())
        .await;
    world.pass(15).await;
    assert!(!world.view().await.is_ready("late"), "{case}");
    world
        .until(12, "it is ready", |view| view.is_ready("late"))
        .await;
    world.pass_by(60, 5).await;
    let view = world.view().await;
    assert!(view.is_ready("limited") && view.is_ready("web"), "{case}");
    assert_eq!(view.restarts("late", "slow"), 0, "{case}");
    let now = world.running();
    assert!(
        before.iter().all(|(key, id)| now.get(key) == Some(id)),
        "{case}"
    );
    let started = world.seconds_of("StartContainer", "crash/crash");
    check_gaps(&gaps(&started), &[0, 10, 20, 40, 80], &case);

    // A container dies, and a sandbox: each is replaced, once.
    world.runtime.exit(&world.container_id("web", "app"), 137);
    world
        .until(10, "it is back", |view| {
            view.restarts("web", "app") == 1 && view.is_ready("web")
        })
        .await;
    let sandboxes = world.runtime.sandboxes();
    let of_web =
        |it: &&kubewright_cri::v1::PodSandboxStatus| it.labels["io.kubernetes.pod.name"] == "web";
    let id = sandboxes.iter().find(of_web).unwrap().id.clone();
    world.runtime.take_calls();
    world.runtime.lose_sandbox(&id);
    world.pass_by(90, 2).await;
    let view = world.view().await;
    assert!(view.is_ready("web"), "{case}: {}", view.told());
    assert_eq!(world.seconds_of("RunPodSandbox", "web").len(), 1, "{case}");
    assert!(
        world.seconds_of("StartContainer", "web/app").len() <= 2,
        "{case}"
    );

    // The deadline is what it was.
    let left = Duration::from_secs(310).saturating_sub(begin.elapsed());
    world.pass_by(left.as_secs(), 5).await;
    assert_eq!(
        world.view().await.phase("limited"),
        Some("Running"),
        "{case}"
    );
    world
        .until(20, "it is too late", |view| {
            view.phase("limited") == Some("Failed")
        })
        .await;
    assert_eq!(
        world.view().await.reason("limited"),
        Some("DeadlineExceeded")
    );
    assert!(world.is_node_ready().await, "{case}");
    for name in ["limited", "late", "crash", "web"] {
        world.delete(name).await;
        world.until_gone(40, name).await;
    }
    world.pass_by(150, 10).await;
    let view = world.view().await;
    assert!(
        view.containers.is_empty() && view.sandboxes.is_empty(),
        "{case}: {}",
        view.told()
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_or_behind_or_is_set_changes_nothing() {
    for whose in [Whose::Agent, Whose::Machine] {
        for when in [When::Before, When::Meanwhile] {
            for hours in [2, -2] {
                set_by(hours, whose, when).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_started_again_goes_on_with_back_offs() {
    // By how much the clock is set meanwhile, and how long the container waits at least and at most
    // that has waited for 30 of its 80 s.
    for (hours, least, most) in [(0, 80, 82), (-2, 108, 115), (-48, 108, 115), (2, 28, 35)] {
        let case = format!("{hours} h");
        eprintln!("{case}");
        let mut world = World::new(3).await;
        world
            .runtime
            .behave("crash", Behaviour::exits(Duration::ZERO, 1));
        world.run("web", app()).await;
        world.create("crash", crash()).await;
        let mut late = app();
        late["activeDeadlineSeconds"] = (7 * 24 * 3600).into();
        world.run("late", late).await;
        let starts = |world: &World| world.seconds_of("StartContainer", "crash/crash");
        for _ in 0..100 {
            if starts(&world).len() == 5 {
                break;
            }
            world.pass(1).await;
        }
        world.pass(29).await;
        let before = world.running();
        world.kill().await;
        // The runtime's stays.
        let now = world.clock.now() + SignedDuration::from_hours(hours);
        world.clock = Clock::starting_at(now);
        world.start().await;
        world.pass_by(280, 5).await;
        let gaps = gaps(&starts(&world));
        check_gaps(&gaps[..4], &[0, 10, 20, 40], &case);
        assert!((least..=most).contains(&gaps[4]), "{case}: {gaps:?}");
        check_gaps(&gaps[5..], &[160], &case);
        assert_eq!(world.running(), before, "{case}");
        assert!(world.is_node_ready().await);
        for name in ["web", "late", "crash"] {
            world.delete(name).await;
            world.until_gone(40, name).await;
        }
        world.stop().await;
    }
}
