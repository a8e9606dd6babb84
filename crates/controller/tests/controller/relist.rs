//! What kube-runtime 5.0's controller gets wrong around relists, and this one does not.

use k8s_openapi::api::apps::v1::ReplicaSet;
use kubewright_controller::{Controller, ControllerConfig, Owner};
use kubewright_informer::InformerConfig;
use serde_json::json;

use crate::world::{ConfigMaps, Journal, Pods, Step, World, config_map, key};

fn by_pages() -> InformerConfig {
    let mut config = InformerConfig::default();
    config.reflector.initial_list = kubewright_cache::InitialList::Paged;
    config.reflector.page_size = std::num::NonZeroU32::new(500);
    config
}

/// Loses the watch, with its history, so that a list follows.
async fn relist(world: &World, maps: &ConfigMaps) {
    let before = maps.source.lists().len();
    maps.source.compact();
    maps.source.end_watches();
    world.pass(60_000).await;
    assert!(
        maps.source.lists().len() > before + 1,
        "it was a list of several pages"
    );
}

/// D7 of kube-runtime 5.0: after a relist of several pages its reconciler sees the old state of what
/// changed, and never hears of what is new.
#[tokio::test(start_paused = true)]
async fn d7_a_relist_of_several_pages_loses_no_work() {
    let maps = ConfigMaps::with("configmaps", by_pages());
    maps.source.clone().without_cache();
    for nth in 0..1100 {
        maps.source
            .apply(config_map(&format!("map-{nth:04}"), json!({})));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = Controller::new("test", ControllerConfig::default()).for_(maps.as_source());
    world.run_controller(controller, journal.looking_at(&maps.informer));
    world.pass(60_000).await;
    assert_eq!(journal.runs().len(), 1100);

    // On the first page of the list to come, and on the last.
    let first = maps
        .source
        .apply_unseen(config_map("map-0000", json!({"data": {"a": "b"}})));
    let last = maps
        .source
        .apply_unseen(config_map("map-1099", json!({"data": {"a": "b"}})));
    let new = maps.source.apply_unseen(config_map("new", json!({})));
    relist(&world, &maps).await;

    let runs: Vec<_> = journal.runs().split_off(1100);
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (run.name.as_str(), run.version.clone().unwrap_or_default()))
        .collect();
    let expected = [("map-0000", first), ("map-1099", last), ("new", new)];
    assert_eq!(
        seen,
        expected.map(|(name, version)| (name, version.to_string()))
    );
    world.stop().await.unwrap();
}

/// D7 of kube-runtime 5.0, the same by a streaming list.
#[tokio::test(start_paused = true)]
async fn d7_a_streaming_relist_loses_no_work() {
    let mut config = InformerConfig::default();
    config.reflector.initial_list = kubewright_cache::InitialList::Streaming;
    let maps = ConfigMaps::with("configmaps", config);
    for name in ["a", "b", "c"] {
        maps.source.apply(config_map(name, json!({})));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = Controller::new("test", ControllerConfig::default()).for_(maps.as_source());
    world.run_controller(controller, journal.looking_at(&maps.informer));
    world.pass(60_000).await;
    assert_eq!(journal.names(), ["a", "b", "c"]);
    assert_eq!(maps.source.lists().len(), 0, "it is a streaming list");

    let changed = maps
        .source
        .apply_unseen(config_map("a", json!({"data": {"a": "b"}})));
    let new = maps.source.apply_unseen(config_map("new", json!({})));
    maps.source.compact();
    maps.source.end_watches();
    world.pass(60_000).await;
    let runs = journal.runs().split_off(3);
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (run.name.as_str(), run.version.clone().unwrap_or_default()))
        .collect();
    let expected =
        [("a", changed), ("new", new)].map(|(name, version)| (name, version.to_string()));
    assert_eq!(seen, expected);
    world.stop().await.unwrap();
}

/// D8 and D6 of kube-runtime 5.0: a deletion that no watch told of is never announced, and shared
/// streams carry no deletions at all.
#[tokio::test(start_paused = true)]
async fn d8_a_deletion_that_only_a_relist_shows_is_reconciled() {
    let maps = ConfigMaps::with("configmaps", by_pages());
    maps.source.clone().without_cache();
    for nth in 0..1100 {
        maps.source
            .apply(config_map(&format!("map-{nth:04}"), json!({})));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = Controller::new("test", ControllerConfig::default()).for_(maps.as_source());
    world.run_controller(controller, journal.looking_at(&maps.informer));
    world.pass(60_000).await;
    maps.source.delete_unseen(&key("map-0700"));
    relist(&world, &maps).await;
    let runs = journal.runs().split_off(1100);
    let seen: Vec<_> = runs
        .iter()
        .map(|run| {
            (
                run.name.as_str(),
                run.reasons.as_str(),
                run.version.as_deref(),
            )
        })
        .collect();
    assert_eq!(seen, [("map-0700", "configmaps deleted", None)]);
    world.stop().await.unwrap();
}

/// D8 for what is owned: the owner hears of a child that went unseen.
#[tokio::test(start_paused = true)]
async fn d8_the_owner_of_what_went_unseen_is_reconciled() {
    let pods = Pods::new("pods");
    let owned = json!({"metadata": {"namespace": "default", "name": "pod", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true},
    ]}});
    pods.source.apply(owned);
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&pods);
    let controller = Controller::new("test", ControllerConfig::default())
        .owns(pods.as_source(), Owner::controller::<ReplicaSet>());
    world.run_controller(controller, journal.reconciler());
    world.pass(1000).await;
    pods.source.delete_unseen(&key("pod"));
    pods.source.compact();
    pods.source.end_watches();
    world.pass(60_000).await;
    assert_eq!(journal.names(), ["web", "web"]);
    assert_eq!(journal.runs()[1].reasons, "pods deleted");
    world.stop().await.unwrap();
}

/// D5 of kube-runtime 5.0: a subscriber that is slow stops the shared store for everybody.
#[tokio::test(start_paused = true)]
async fn d5_a_reconcile_that_hangs_stops_neither_the_store_nor_its_siblings() {
    let maps = ConfigMaps::new("configmaps");
    maps.source.apply(config_map("stuck", json!({})));
    let (stuck, lively) = (Journal::new(), Journal::new());
    stuck.script("stuck", &[Step::Hang]);
    let mut config = ControllerConfig::default();
    config.stop_timeout = crate::world::ms(10);
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = Controller::new("stuck", config).for_(maps.as_source());
    world.run_controller(controller, stuck.reconciler());
    let controller = Controller::new("lively", ControllerConfig::default()).for_(maps.as_source());
    world.run_controller(controller, lively.looking_at(&maps.informer));
    world.pass(100).await;
    for nth in 0..3000 {
        maps.source
            .apply(config_map(&format!("map-{nth}"), json!({})));
        maps.source.delete(&key(&format!("map-{nth}")));
        if nth % 100 == 0 {
            world.pass(1).await;
        }
    }
    maps.source.apply(config_map("last", json!({})));
    world.pass(100).await;
    assert_eq!(stuck.names(), ["stuck"]);
    assert_eq!(maps.informer.store().len(), 2);
    assert_eq!(lively.names().last().map(String::as_str), Some("last"));
    world.token.cancel();
}
