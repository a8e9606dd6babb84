//! Reconciles are put off until the stores show the controller's own writes.

use kubewright_cache::{ResourceVersion, Uid};
use kubewright_controller::{Controller, ControllerConfig, OwnWrites, TrackedStore};
use serde_json::json;

use crate::world::{ConfigMaps, Journal, Step, World, config_map, key};

/// A controller whose stores lag behind as the test says.
struct Lagging {
    world: World,
    maps: ConfigMaps,
    own_maps: TrackedStore,
    own_writes: OwnWrites,
    journal: Journal,
    enqueue: kubewright_controller::Enqueue,
}

impl Lagging {
    async fn new() -> Self {
        let maps = ConfigMaps::new("configmaps");
        maps.source.apply(config_map("other", json!({})));
        let own_writes = OwnWrites::new();
        let own_maps = own_writes.track("configmaps", maps.informer.store());
        let mut config = ControllerConfig::default();
        config.own_writes = Some(own_writes.clone());
        let controller = Controller::new("test", config).for_(maps.as_source());
        let enqueue = controller.enqueue();
        let journal = Journal::new();
        let mut world = World::new();
        world.run_informer(&maps);
        world.run_controller(controller, journal.looking_at(&maps.informer));
        world.pass(100).await;
        assert_eq!(journal.names(), ["other"]);
        Self {
            world,
            maps,
            own_maps,
            own_writes,
            journal,
            enqueue,
        }
    }

    fn wrote(&self, name: &str, version: u64) {
        let version = ResourceVersion::from(version);
        self.own_maps.wrote(&key(name), &Uid::from("u"), &version);
    }

    /// Names, milliseconds and attempts of the runs since the first.
    fn times(&self) -> Vec<(String, u128, u32)> {
        self.journal.times().split_off(1)
    }
}

fn run(name: &str, at: u128, attempt: u32) -> (String, u128, u32) {
    (name.to_owned(), at, attempt)
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_waits_for_the_controllers_own_write() {
    let lagging = Lagging::new().await;
    lagging.wrote("web", 5);
    lagging.enqueue.add(key("web"));
    lagging.world.pass(1000).await;
    assert_eq!(lagging.times(), []);
    // The store moves, but not far enough.
    lagging
        .maps
        .source
        .apply(config_map("other", json!({"data": {"a": "b"}})));
    lagging.world.pass(100).await;
    assert_eq!(lagging.times(), [run("other", 1100, 1)]);
    lagging.maps.source.advance_to(4);
    lagging.maps.source.apply(config_map("third", json!({})));
    lagging.world.pass(100).await;
    let expected = [
        run("other", 1100, 1),
        run("web", 1200, 1),
        run("third", 1200, 1),
    ];
    let mut times = lagging.times();
    times.sort_by_key(|(_, at, _)| *at);
    times[1..].sort();
    let mut expected = expected;
    expected[1..].sort();
    assert_eq!(times, expected);
    assert!(lagging.own_writes.is_empty());
    lagging.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_is_enough() {
    let lagging = Lagging::new().await;
    lagging.wrote("web", 7);
    lagging.enqueue.add(key("web"));
    lagging.world.pass(1000).await;
    assert_eq!(lagging.times(), []);
    lagging.maps.source.advance_to(7);
    lagging.maps.source.bookmark();
    lagging.world.pass(1).await;
    assert_eq!(lagging.times(), [run("web", 1100, 1)]);
    lagging.world.stop().await.unwrap();
}

/// No error, no attempt, no token: the first run is the first attempt, and its failure the first.
#[tokio::test(start_paused = true)]
async fn a_deferral_is_no_failure() {
    let lagging = Lagging::new().await;
    lagging.journal.script("web", &[Step::Fail]);
    lagging.wrote("web", 7);
    for _ in 0..50 {
        lagging.enqueue.add(key("web"));
        lagging.world.pass(10).await;
    }
    lagging.maps.source.advance_to(7);
    lagging.maps.source.bookmark();
    lagging.world.pass(1000).await;
    assert_eq!(lagging.times(), [run("web", 600, 1), run("web", 605, 2)]);
    lagging.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_reasons_of_a_deferred_run_are_kept() {
    let lagging = Lagging::new().await;
    lagging.wrote("web", 7);
    lagging.enqueue.add(key("web"));
    lagging.world.pass(10).await;
    lagging.maps.source.apply(config_map("web", json!({})));
    lagging.world.pass(10).await;
    assert_eq!(lagging.times(), []);
    lagging.maps.source.advance_to(7);
    lagging.maps.source.bookmark();
    lagging.world.pass(10).await;
    let runs = lagging.journal.runs();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].reasons, "configmaps added, asked");
    lagging.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_catches_up_holds_nothing_up_for_ever() {
    let lagging = Lagging::new().await;
    lagging.wrote("web", 1000);
    lagging.enqueue.add(key("web"));
    lagging.world.pass(200).await;
    // Asking again does not prolong the wait.
    lagging.enqueue.add(key("web"));
    lagging.world.pass(400_000).await;
    assert_eq!(lagging.times(), [run("web", 300_100, 1)]);
    lagging.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_deferred_keys_wake_as_the_store_comes_to_them() {
    let lagging = Lagging::new().await;
    for nth in 0..20_u64 {
        lagging.wrote(&format!("web-{nth}"), 100 + (nth * 7) % 20);
        lagging.enqueue.add(key(&format!("web-{nth}")));
    }
    lagging.world.pass(10).await;
    assert_eq!(lagging.times(), []);
    for version in 100..120_u64 {
        lagging.maps.source.advance_to(version);
        lagging.maps.source.bookmark();
        lagging.world.pass(10).await;
        assert_eq!(lagging.times().len() as u64, version - 99);
    }
    lagging.world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_without_own_writes_is_not_held_up() {
    let lagging = Lagging::new().await;
    lagging.wrote("web", 1000);
    lagging.enqueue.add(key("web"));
    lagging.enqueue.add(key("api"));
    lagging.world.pass(10).await;
    assert_eq!(lagging.times(), [run("api", 100, 1)]);
    lagging.own_writes.clear(&key("web"), None);
    lagging.enqueue.add(key("web"));
    lagging.world.pass(10).await;
    assert_eq!(lagging.times(), [run("api", 100, 1), run("web", 110, 1)]);
    lagging.world.stop().await.unwrap();
}
