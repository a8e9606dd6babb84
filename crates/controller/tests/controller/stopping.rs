//! How a controller ends, and that nothing outlives it.

use std::sync::Arc;
use std::time::Duration;

use futures::poll;
use kubewright_controller::{Controller, ControllerConfig, Error, OwnWrites};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::world::{ConfigMaps, Journal, Step, World, config_map, key, ms};

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_reconciles_and_begins_no_more() {
    let journal = Journal::new();
    journal.script("a", &[Step::Take(1000)]);
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default());
    let enqueue = controller.enqueue();
    for name in ["a", "b", "c"] {
        enqueue.add(key(name));
    }
    world.run_controller(controller, journal.reconciler());
    world.pass(100).await;
    assert_eq!(journal.running(), 1);
    let start = Instant::now();
    world.stop().await.unwrap();
    assert_eq!(start.elapsed(), ms(900));
    assert_eq!(journal.names(), ["a"]);
    assert_eq!(journal.running(), 0);
    // Nobody works on the queue any more, so it takes nothing.
    enqueue.add(key("d"));
    enqueue.add_after(key("d"), ms(1));
    assert!(format!("{enqueue:?}").contains("is_shutting_down: true"));
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_does_not_end_is_cut_off() {
    let mut config = ControllerConfig::default();
    config.stop_timeout = ms(2000);
    config.concurrency = std::num::NonZeroUsize::new(3).unwrap();
    let journal = Journal::new();
    journal.script("a", &[Step::Hang]);
    journal.script("b", &[Step::Hang]);
    journal.script("c", &[Step::Take(1000)]);
    let mut world = World::new();
    let controller = Controller::new("test", config);
    for name in ["a", "b", "c"] {
        controller.enqueue().add(key(name));
    }
    world.run_controller(controller, journal.reconciler());
    world.pass(100).await;
    let start = Instant::now();
    let error = world.stop().await.unwrap_err();
    assert_eq!(start.elapsed(), ms(2000));
    assert!(
        matches!(error, Error::CutOff { reconciles: 2, .. }),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "controller test: 2 reconciles did not end within 2s"
    );
    assert_eq!(journal.running(), 0, "they were dropped");
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_caches_are_in_sync_is_no_error() {
    let maps = ConfigMaps::new("configmaps");
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default()).for_(maps.as_source());
    let queue = controller.queue().clone();
    world.run_controller(controller, Journal::new().reconciler());
    world.pass(100).await;
    assert_eq!(maps.informer.status().handlers.len(), 1);
    world.stop().await.unwrap();
    assert_eq!(maps.informer.status().handlers.len(), 0);
    assert!(queue.is_shutting_down());
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_nothing_listens() {
    let maps = ConfigMaps::new("configmaps");
    maps.source.apply(config_map("web", json!({})));
    let mut informers = World::new();
    informers.run_informer(&maps);
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default()).for_(maps.as_source());
    let journal = Journal::new();
    world.run_controller(controller, journal.reconciler());
    world.pass(100).await;
    assert_eq!(maps.informer.status().handlers.len(), 1);
    world.stop().await.unwrap();
    assert_eq!(maps.informer.status().handlers.len(), 0);
    maps.source
        .apply(config_map("web", json!({"data": {"a": "b"}})));
    informers.pass(100).await;
    assert_eq!(journal.names(), ["web"]);
    // Another one can follow on the same informer.
    let mut world = World::new();
    let controller = Controller::new("next", ControllerConfig::default()).for_(maps.as_source());
    world.run_controller(controller, journal.reconciler());
    world.pass(100).await;
    assert_eq!(journal.names(), ["web", "web"]);
    world.stop().await.unwrap();
}

/// The tasks of a runtime, besides the test itself.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

fn everything(maps: &ConfigMaps) -> Controller {
    struct Deaf;
    impl kubewright_workqueue::QueueMetrics for Deaf {}
    let own_writes = OwnWrites::new();
    own_writes.track("configmaps", maps.informer.store());
    let mut config = ControllerConfig::default();
    config.concurrency = std::num::NonZeroUsize::new(4).expect("it is not zero");
    config.own_writes = Some(own_writes);
    config.queue.metrics = Some(Arc::new(Deaf));
    Controller::new("test", config).for_(maps.as_source())
}

#[tokio::test(start_paused = true)]
async fn no_task_outlives_run() {
    let maps = ConfigMaps::new("configmaps");
    for name in ["a", "b", "c"] {
        maps.source.apply(config_map(name, json!({})));
    }
    let mut informers = World::new();
    informers.run_informer(&maps);
    informers.pass(100).await;
    let before = tasks();

    // It is stopped.
    let journal = Journal::new();
    let token = CancellationToken::new();
    let run = everything(&maps).run(journal.reconciler(), token.clone());
    let stop = async {
        informers.pass(100).await;
        assert!(tasks() > before + 4);
        token.cancel();
    };
    let (ended, ()) = tokio::join!(run, stop);
    ended.unwrap();
    assert_eq!(journal.names().len(), 3);
    assert_eq!(tasks(), before);

    // Its future is dropped in the middle of reconciles.
    let journal = Journal::new();
    journal.script("a", &[Step::Hang]);
    let controller = everything(&maps);
    let queue = controller.queue().clone();
    let mut run = Box::pin(controller.run(journal.reconciler(), CancellationToken::new()));
    for _ in 0..20 {
        assert!(poll!(&mut run).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(journal.running(), 1);
    drop(run);
    assert!(queue.is_shutting_down());
    informers.pass(1).await;
    assert_eq!(journal.running(), 0);
    assert_eq!(tasks(), before);
    assert_eq!(maps.informer.status().handlers.len(), 0);
}
