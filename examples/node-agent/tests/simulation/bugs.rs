//! Somebody has made a mistake: it costs one pod one turn, and nobody else anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kubewright_cri::testing::Exec;
use serde_json::json;

use crate::world::{World, app};

/// What panics is called in the middle of a turn, as all is that a turn is made of.
#[tokio::test(start_paused = true)]
async fn a_turn_that_panics_costs_its_pod_that_turn() {
    const PANICS: u32 = 2;
    let mut world = World::new(1).await;
    world.run("other", app()).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    world.runtime.on_exec(move |subject, _| {
        let is_meant = subject == "web/app";
        if is_meant && counted.fetch_add(1, Ordering::Relaxed) < PANICS {
            panic!("somebody has made a mistake");
        }
        Exec::default()
    });
    let hook = json!({"exec": {"command": ["true"]}});
    let mut spec = app();
    // The first panic is in the turn that starts it, the second in the one that ends it.
    spec["containers"][0]["lifecycle"] = json!({"postStart": hook, "preStop": hook});
    world.create("web", spec).await;
    world.create("third", app()).await;
    world
        .until(40, "all run", |view| {
            view.is_ready("web") && view.is_ready("third")
        })
        .await;
    world.pass(2).await;
    let events = world.events("web").await;
    let told = "FailedSync: panic: somebody has made a mistake";
    assert!(events.iter().any(|it| it == told), "{events:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    world.delete("web").await;
    world.until_gone(60, "web").await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let view = world.view().await;
    for name in ["other", "third"] {
        assert!(
            view.is_ready(name) && view.restarts(name, "app") == 0,
            "{name}"
        );
    }
    assert!(world.is_node_ready().await);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_asked_again() {
    let mut world = World::new(2).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    world.runtime.on_exec(move |_, _| {
        assert!(
            counted.fetch_add(1, Ordering::Relaxed) > 0,
            "somebody has made a mistake"
        );
        Exec::default()
    });
    let mut spec = app();
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 2});
    spec["containers"][0]["readinessProbe"] = probe;
    world.create("web", spec).await;
    world
        .until(20, "it is ready", |view| view.is_ready("web"))
        .await;
    assert!(asked.load(Ordering::Relaxed) > 1);
    world.stop().await;
}

/// There is room for few events, and the containers of many pods die in one instant.
#[tokio::test(start_paused = true)]
async fn events_that_find_no_room_are_found_by_the_next_list() {
    const PODS: usize = 40;
    const CONTAINERS: usize = 3;
    const ROOM: usize = 8;
    let mut world = World::idle(3).await;
    world.options.pleg.event_capacity = ROOM;
    world.start().await;
    world.until_ready().await;
    let containers = (0..CONTAINERS).map(|it| json!({"name": format!("c{it}"), "image": "i:1"}));
    let spec = json!({
        "containers": containers.collect::<Vec<_>>(),
        "terminationGracePeriodSeconds": 1,
    });
    let names: Vec<_> = (0..PODS).map(|it| format!("web-{it}")).collect();
    for name in &names {
        world.create(name, spec.clone()).await;
    }
    world
        .until(30, "all run", |view| {
            names.iter().all(|name| view.is_ready(name))
        })
        .await;
    // Long after all was told.
    world.pass_by(20, 5).await;
    for container in world.runtime.containers() {
        world.runtime.exit(&container.id, 1);
    }
    // Those of which nobody is told would be looked at when their resync comes, which takes a minute.
    world
        .until(30, "all are back", |view| {
            names.iter().all(|name| {
                let restarts = (0..CONTAINERS).map(|it| view.restarts(name, &format!("c{it}")));
                view.is_ready(name) && restarts.min() == Some(1)
            })
        })
        .await;
    for name in &names {
        world.delete(name).await;
    }
    world
        .until(60, "all are gone", |view| view.pods.is_empty())
        .await;
    world.stop().await;
}
