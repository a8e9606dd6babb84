//! The node is registered, tells how it is, and evicts pods.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube_client::api::{Api, Patch, PatchParams};
use kubewright_cri::testing::{Behaviour, Fault, OnStop};
use kubewright_cri::v1::RuntimeCondition;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{NODE, World, app};

#[tokio::test(start_paused = true)]
async fn the_node_is_registered_and_its_lease_renewed() {
    let mut world = World::new(1).await;
    let node = world.nodes().get(NODE).await.unwrap();
    let status = node.status.unwrap();
    assert_eq!(status.capacity.unwrap()["pods"].0, "110");
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "kube-node-lease");
    // It is made with the node as its owner, which it has from its second try on.
    world.pass(10).await;
    for _ in 0..20 {
        world.pass(5).await;
        let lease = leases.get(NODE).await.unwrap().spec.unwrap();
        let age = world
            .clock
            .now()
            .duration_since(lease.renew_time.unwrap().0);
        assert!(age.as_secs() <= 15, "{age}");
    }
    // Somebody deletes the node; it is registered again only by a restart, as upstream's.
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_network_that_is_not_ready_keeps_pods_from_starting() {
    let mut world = World::new(2).await;
    let condition = |status| RuntimeCondition {
        r#type: "NetworkReady".into(),
        status,
        reason: "NetworkPluginNotReady".into(),
        message: "cni plugin not initialized".into(),
    };
    world.runtime.set_condition(condition(false));
    world.pass(20).await;
    assert!(!world.is_node_ready().await);
    world.create("web", app()).await;
    let mut host = app();
    host["hostNetwork"] = true.into();
    world.run("host", host).await;
    world.pass(20).await;
    assert!(world.view().await.running("web").is_empty());
    assert!(world.has_event("web", "NetworkNotReady").await);
    world.runtime.set_condition(condition(true));
    world
        .until(20, "it runs", |view| view.is_ready("web"))
        .await;
    world.pass(15).await;
    assert!(world.is_node_ready().await);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_evicted_when_memory_is_short() {
    let mut world = World::idle(3).await;
    let threshold = "512Ti".parse().unwrap();
    world
        .config
        .eviction_hard
        .insert("memory.available".into(), threshold);
    world.start().await;
    world.until_ready().await;
    // It does as it is asked to, and that is no success.
    let mut obedient = Behaviour::default();
    obedient.on_stop = OnStop::Exits {
        after: Duration::ZERO,
        code: 0,
    };
    world.runtime.behave("app", obedient);
    let spec = json!({"containers": [{
        "name": "app", "image": "i", "resources": {"requests": {"memory": "1Mi"}},
    }]});
    world.create("web", spec).await;
    world
        .until(60, "it is evicted", |view| {
            let phase = view.phase("web");
            assert_ne!(phase, Some("Succeeded"), "{}", view.told());
            phase == Some("Failed")
        })
        .await;
    world.pass(30).await;
    let view = world.view().await;
    assert_eq!(view.phase("web"), Some("Failed"), "{}", view.told());
    assert_eq!(view.reason("web"), Some("Evicted"));
    assert!(view.running("web").is_empty());
    assert!(world.has_event("web", "Evicted").await);
    // One that asks for nothing is not let in.
    world.create("other", app()).await;
    world
        .until(10, "it is rejected", |view| {
            view.phase("other") == Some("Failed")
        })
        .await;
    assert_eq!(world.view().await.reason("other"), Some("Evicted"));
    for name in ["web", "other"] {
        world.delete(name).await;
        world.until_gone(40, name).await;
    }
    world.pass_by(200, 10).await;
    assert!(world.view().await.sandboxes.is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finds_no_room_fails_and_goes() {
    let mut world = World::new(4).await;
    let mut spec = app();
    spec["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
    world.create("web", spec).await;
    world
        .until(10, "it is rejected", |view| {
            view.phase("web") == Some("Failed")
        })
        .await;
    assert_eq!(world.view().await.reason("web"), Some("OutOfcpu"));
    // It stays so, also for an agent that comes after.
    world.kill().await;
    world.start().await;
    world.pass(30).await;
    assert_eq!(world.view().await.phase("web"), Some("Failed"));
    world.delete("web").await;
    world.until_gone(40, "web").await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_pods_of_one_host_port_do_not_run_at_once() {
    let mut world = World::new(5).await;
    let mut spec = app();
    spec["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}]);
    world.run("web", spec.clone()).await;
    world.create("other", spec.clone()).await;
    world
        .until(10, "it is rejected", |view| {
            view.phase("other") == Some("Failed")
        })
        .await;
    assert_eq!(world.view().await.reason("other"), Some("NodePorts"));
    world.delete("web").await;
    world.until_gone(20, "web").await;
    world.run("third", spec).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_asked_to_end_ends() {
    let mut world = World::new(6).await;
    world.run("web", app()).await;
    let id = world.container_id("web", "app");
    world.stop().await;
    world.step_by(Duration::from_secs(5)).await;
    assert_eq!(world.container_id("web", "app"), id, "its containers go on");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_shut_down_ends_its_pods_first_and_critical_ones_last() {
    let mut world = World::idle(7).await;
    world.config.shutdown_grace_period = Duration::from_secs(30);
    world.config.shutdown_grace_period_critical_pods = Duration::from_secs(10);
    world.runtime.behave("deaf", Behaviour::ignores_stop());
    world.start().await;
    world.until_ready().await;
    let mut critical = app();
    critical["priorityClassName"] = "system-node-critical".into();
    critical["priority"] = 2_000_001_000.into();
    world.run("critical", critical).await;
    world.run("web", app()).await;
    let deaf = json!({
        "terminationGracePeriodSeconds": 600,
        "containers": [{"name": "deaf", "image": "i"}],
    });
    world.run("deaf", deaf).await;
    world.runtime.take_calls();
    let begin = Instant::now();
    world.stop().await;
    let took = begin.elapsed().as_secs();
    assert!((20..=32).contains(&took), "{took}");
    let view = world.view().await;
    for name in ["web", "deaf", "critical"] {
        assert_eq!(view.phase(name), Some("Failed"), "{}", view.told());
        assert_eq!(view.reason(name), Some("Terminated"));
        let message = "Pod was terminated in response to imminent node shutdown.";
        assert_eq!(view.disruption(name).as_deref(), Some(message));
        assert!(view.running(name).is_empty());
    }
    let calls = world.runtime.calls();
    let stops = calls.iter().filter(|it| it.method == "StopContainer");
    let stops: Vec<_> = stops.map(|it| (it.subject.as_str(), it.seconds)).collect();
    assert_eq!(stops.last(), Some(&("critical/app", 5)), "{stops:?}");
    assert!(stops.contains(&("deaf/deaf", 20)), "{stops:?}");
}

#[tokio::test(start_paused = true)]
async fn the_runtime_is_told_the_addresses_of_pods() {
    let mut world = World::new(20).await;
    let told = |world: &World| {
        let calls = world.runtime.calls().into_iter();
        let calls = calls.filter(|call| call.method == "UpdateRuntimeConfig");
        calls.map(|call| call.subject).collect::<Vec<_>>()
    };
    world.pass(30).await;
    assert_eq!(told(&world), <[&str; 0]>::default(), "there are none yet");
    world
        .runtime
        .fault("UpdateRuntimeConfig", Fault::unavailable());
    let cidrs =
        json!({"spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]}});
    let (nodes, params) = (world.nodes(), PatchParams::default());
    let patched = nodes.patch(NODE, &params, &Patch::Merge(cidrs)).await;
    patched.unwrap();
    world.pass(60).await;
    let both = "10.1.0.0/24,fd00::/64";
    assert_eq!(
        told(&world),
        [both, both],
        "until it took them, and not again"
    );
    world.stop().await;
}

/// Answers to `TestEvictPodsToFreeRequests`: a critical pod finds room by others' end.
#[tokio::test(start_paused = true)]
async fn a_critical_pod_takes_the_place_of_others() {
    let mut world = World::new(8).await;
    world.runtime.behave("slow", Behaviour::ignores_stop());
    let cpu = {
        let node = world.nodes().get(NODE).await.unwrap();
        let allocatable = node.status.unwrap().allocatable.unwrap();
        kubewright_quantity::Quantity::parse(&allocatable["cpu"].0)
            .unwrap()
            .milli_value()
    };
    let asking = |name: &str, milli: i64| {
        let requests = json!({"requests": {"cpu": format!("{milli}m")}});
        let container = json!({"name": name, "image": "i", "resources": requests});
        json!({"containers": [container], "terminationGracePeriodSeconds": 5})
    };
    world.run("small", asking("app", cpu / 4)).await;
    world.run("large", asking("slow", cpu / 2)).await;
    world.run("best-effort", app()).await;
    // The small one would not do, and is left alone.
    let mut critical = asking("app", cpu * 3 / 4);
    critical["priorityClassName"] = "system-node-critical".into();
    critical["priority"] = 2_000_001_000.into();
    world.create("critical", critical.clone()).await;
    // It is not started before there is room.
    world
        .until(40, "it runs", |view| {
            let runs = !view.running("critical").is_empty();
            assert!(!runs || view.running("large").is_empty(), "both run");
            view.is_ready("critical")
        })
        .await;
    let view = world.view().await;
    assert_eq!(view.phase("large"), Some("Failed"));
    assert_eq!(view.reason("large"), Some("Preempting"));
    let message = "Pod was preempted by Kubelet to accommodate a critical pod.";
    assert_eq!(view.disruption("large").as_deref(), Some(message));
    let told = world.events("large").await;
    let told_of = "Preempting: Preempted in order to admit critical pod";
    assert!(told.iter().any(|it| it == told_of), "{told:?}");
    for name in ["small", "best-effort"] {
        assert!(view.is_ready(name), "{}", view.told());
    }

    // One that would not find room by anybody's end is refused.
    let mut other = critical;
    other["containers"][0]["resources"]["requests"]["cpu"] = json!(format!("{}m", cpu));
    world.create("too-large", other).await;
    world
        .until(10, "it is refused", |view| {
            view.phase("too-large") == Some("Failed")
        })
        .await;
    let view = world.view().await;
    assert_eq!(view.reason("too-large"), Some("UnexpectedAdmissionError"));
    assert!(
        view.is_ready("small") && view.is_ready("critical"),
        "{}",
        view.told()
    );
    assert_eq!(view.disruption("too-large"), None);
    world.stop().await;
}
