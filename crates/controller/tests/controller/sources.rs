//! From events to keys.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kubewright_cache::testing::Answer;
use kubewright_controller::{
    Action, Controller, ControllerConfig, Enqueue, Error, Expectations, Owner, Pending, Predicate,
    Request, related,
};
use kubewright_informer::{Event, HandlerConfig, Mailbox, Object, ObjectKey};
use serde_json::{Value, json};

use crate::world::{ConfigMaps, Journal, Pods, World, config_map, key, ms};

fn controller() -> Controller {
    Controller::new("test", ControllerConfig::default())
}

#[tokio::test(start_paused = true)]
async fn an_object_is_reconciled_for_all_that_happens_to_it() {
    let maps = ConfigMaps::new("configmaps");
    maps.source.apply(config_map("web", json!({})));
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    world.run_controller(
        controller().for_(maps.as_source()),
        journal.looking_at(&maps.informer),
    );
    world.pass(10).await;
    maps.source
        .apply(config_map("web", json!({"data": {"a": "b"}})));
    world.pass(10).await;
    maps.source.delete(&key("web"));
    world.pass(10).await;
    let runs = journal.runs();
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (run.reasons.as_str(), run.version.as_deref()))
        .collect();
    let expected = [
        ("configmaps added", Some("1")),
        ("configmaps updated", Some("2")),
        ("configmaps deleted", None),
    ];
    assert_eq!(seen, expected);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reasons_of_one_run_add_up() {
    let maps = ConfigMaps::new("configmaps");
    let journal = Journal::new();
    journal.script("web", &[crate::world::Step::Take(50)]);
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = controller().for_(maps.as_source());
    let enqueue = controller.enqueue();
    world.run_controller(controller, journal.reconciler());
    world.pass(10).await;
    enqueue.add(key("web"));
    world.pass(10).await;
    maps.source.apply(config_map("web", json!({})));
    world.pass(10).await;
    maps.source.delete(&key("web"));
    enqueue.add(key("web"));
    world.pass(100).await;
    let reasons: Vec<_> = journal.runs().into_iter().map(|run| run.reasons).collect();
    assert_eq!(
        reasons,
        ["asked", "configmaps added, configmaps deleted, asked"]
    );
    world.stop().await.unwrap();
}

/// What kube-runtime 5.0 lacks (its pull request 1914): there only the main store is waited for.
#[tokio::test(start_paused = true)]
async fn no_reconcile_begins_before_all_sources_are_in_sync() {
    let (maps, pods) = (ConfigMaps::new("configmaps"), Pods::new("pods"));
    maps.source.apply(config_map("web", json!({})));
    pods.source.answer_list(Answer::Hang);
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    world.run_informer(&pods);
    let controller = controller()
        .for_(maps.as_source())
        .owns(pods.as_source(), Owner::controller::<ReplicaSet>());
    world.run_controller(controller, journal.reconciler());
    world.pass(59_000).await;
    assert!(maps.informer.has_synced());
    assert_eq!(journal.runs(), []);
    // The list that hangs is given up after a minute, and made again.
    world.pass(10_000).await;
    assert!(pods.informer.has_synced());
    assert_eq!(journal.names(), ["web"]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_reconciles_see_complete_caches() {
    let (maps, pods) = (ConfigMaps::new("configmaps"), Pods::new("pods"));
    maps.source.apply(config_map("web", json!({})));
    for nth in 0..1200 {
        pods.source.apply(pod(
            &format!("web-{nth}"),
            &owner("apps/v1", "ReplicaSet", "web", true),
        ));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = controller()
        .for_(maps.as_source())
        .owns(pods.as_source(), Owner::controller::<ReplicaSet>());
    world.run_controller(controller, journal.reconciler());
    world.pass(1000).await;
    world.run_informer(&pods);
    world.pass(1000).await;
    let reasons: Vec<_> = journal.runs().into_iter().map(|run| run.reasons).collect();
    assert_eq!(
        reasons,
        ["configmaps added, pods added"],
        "one run for 1201 events"
    );
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sources_that_do_not_sync_in_time_are_named() {
    let (maps, pods) = (ConfigMaps::new("configmaps"), Pods::new("pods"));
    let mut config = ControllerConfig::default();
    config.sync_timeout = ms(5000);
    let controller = Controller::new("test", config)
        .for_(maps.as_source())
        .owns(pods.as_source(), Owner::controller::<ReplicaSet>());
    let mut world = World::new();
    world.run_informer(&maps);
    world.run_controller(controller, Journal::new().reconciler());
    let error = world.ended().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "controller test: not in sync after 5s: pods"
    );
    assert_eq!(
        maps.informer.status().handlers.len(),
        0,
        "it listens no more"
    );
}

#[tokio::test(start_paused = true)]
async fn an_informer_that_has_stopped_is_an_error() {
    let maps = ConfigMaps::new("configmaps");
    let mut informers = World::new();
    informers.run_informer(&maps);
    informers.pass(10).await;
    informers.token.cancel();
    informers.pass(10).await;
    let mut world = World::new();
    world.run_controller(
        controller().for_(maps.as_source()),
        Journal::new().reconciler(),
    );
    let error = world.ended().await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "controller test: the source configmaps is not available"
    );
}

fn owner(api_version: &str, kind: &str, name: &str, controller: bool) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": "u", "controller": controller})
}

fn pod(name: &str, owner: &Value) -> Value {
    json!({"metadata": {"namespace": "default", "name": name, "ownerReferences": [owner]}})
}

/// The keys that pods with these owners cause reconciles of, sorted.
async fn owners_of(owner: Owner, references: &[Value]) -> Vec<ObjectKey> {
    let pods = Pods::new("pods");
    for (nth, reference) in references.iter().enumerate() {
        pods.source.apply(pod(&format!("pod-{nth}"), reference));
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keys = Arc::clone(&seen);
    let reconcile = move |request: Request| {
        let mut seen = seen.lock().expect("nobody panics");
        seen.push(request.into_key());
        async { Ok::<_, Infallible>(Action::done()) }
    };
    let mut world = World::new();
    world.run_informer(&pods);
    world.run_controller(controller().owns(pods.as_source(), owner), reconcile);
    world.pass(100).await;
    world.stop().await.expect("it stops");
    let mut keys = keys.lock().expect("nobody panics").clone();
    keys.sort();
    keys
}

#[tokio::test(start_paused = true)]
async fn owners_are_told_by_group_kind_and_role() {
    let references = [
        owner("apps/v1", "ReplicaSet", "a", true),
        owner("apps/v1beta2", "ReplicaSet", "b", true),
        owner("apps/v1", "ReplicaSet", "c", false),
        owner("apps/v1", "StatefulSet", "d", true),
        owner("other.io/v1", "ReplicaSet", "e", true),
        owner("v1", "Node", "f", true),
        owner("v1", "ReplicaSet", "g", true),
    ];
    let sets = Owner::controller::<ReplicaSet>();
    assert_eq!(
        owners_of(sets.clone(), &references).await,
        [key("a"), key("b")]
    );
    let any = sets.managing_or_not();
    assert_eq!(
        owners_of(any, &references).await,
        [key("a"), key("b"), key("c")]
    );
    let nodes = Owner::controller::<Node>();
    assert_eq!(
        owners_of(nodes, &references).await,
        [ObjectKey::cluster("f")]
    );
    let custom = Owner::controller_named("other.io", "ReplicaSet");
    assert_eq!(owners_of(custom.clone(), &references).await, [key("e")]);
    let custom = custom.cluster_scoped();
    assert_eq!(
        owners_of(custom, &references).await,
        [ObjectKey::cluster("e")]
    );
}

#[tokio::test(start_paused = true)]
async fn the_old_and_the_new_owner_are_reconciled() {
    let pods = Pods::new("pods");
    pods.source
        .apply(pod("pod", &owner("apps/v1", "ReplicaSet", "old", true)));
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&pods);
    let controller = controller().owns(pods.as_source(), Owner::controller::<ReplicaSet>());
    world.run_controller(controller, journal.reconciler());
    world.pass(10).await;
    pods.source
        .apply(pod("pod", &owner("apps/v1", "ReplicaSet", "new", true)));
    world.pass(10).await;
    pods.source.delete(&key("pod"));
    world.pass(10).await;
    assert_eq!(journal.names(), ["old", "old", "new", "new"]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_map_names_any_keys() {
    let maps = ConfigMaps::new("configmaps");
    maps.source
        .apply(config_map("map", json!({"data": {"for": "a b"}})));
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let named = related(|map: &Object<ConfigMap>| {
        let data = map
            .get()
            .ok()
            .and_then(|map| map.data.clone())
            .unwrap_or_default();
        let names = data.get("for").cloned().unwrap_or_default();
        names.split(' ').map(key).collect::<Vec<_>>()
    });
    world.run_controller(
        controller().watches(maps.as_source(), named),
        journal.reconciler(),
    );
    world.pass(10).await;
    maps.source
        .apply(config_map("map", json!({"data": {"for": "b c"}})));
    world.pass(10).await;
    assert_eq!(journal.names(), ["a", "b", "a", "b", "c"]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_map_sees_the_whole_event_and_the_queue() {
    let maps = ConfigMaps::new("configmaps");
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let mut updates = 0;
    let map = move |event: &Event<ConfigMap>, enqueue: &Enqueue| match event {
        Event::Added { object, .. } => enqueue.add_after(object.key().clone(), ms(500)),
        Event::Updated { .. } => {
            updates += 1;
            enqueue.add(key(&format!("update-{updates}")));
        }
        Event::Deleted { certainty, .. } => enqueue.add(key(&format!("{certainty:?}"))),
    };
    world.run_controller(
        controller().watches(maps.as_source(), map),
        journal.reconciler(),
    );
    world.pass(10).await;
    maps.source.apply(config_map("web", json!({})));
    world.pass(10).await;
    maps.source
        .apply(config_map("web", json!({"data": {"a": "b"}})));
    world.pass(10).await;
    maps.source.delete(&key("web"));
    world.pass(1000).await;
    let expected = [("update-1", 20, 1), ("Seen", 30, 1), ("web", 510, 1)];
    assert_eq!(
        journal.times(),
        expected.map(|(name, at, attempt)| (name.to_owned(), at, attempt))
    );
    assert_eq!(journal.runs()[2].reasons, "requeued");
    world.stop().await.unwrap();
}

/// A map that counts, as a controller with expectations does, sees every life, however short, if
/// its mailbox is lossless.
#[tokio::test(start_paused = true)]
async fn a_map_with_expectations_misses_no_creation() {
    let maps = ConfigMaps::new("configmaps");
    let expectations = Arc::new(Expectations::default());
    let set = key("set");
    expectations.expect_creations(&set, 300);
    let mut world = World::new();
    world.run_informer(&maps);
    let mut handler = HandlerConfig::default();
    handler.mailbox = Mailbox::Lossless {
        capacity: NonZeroUsize::new(1000).unwrap(),
    };
    let (counting, of) = (Arc::clone(&expectations), set.clone());
    let map = move |event: &Event<ConfigMap>, enqueue: &Enqueue| {
        if matches!(event, Event::Added { .. }) {
            counting.creation_observed(&of);
        }
        enqueue.add(of.clone());
    };
    let source = maps.as_source().handler(handler);
    let (checking, of) = (Arc::clone(&expectations), set.clone());
    let reconcile = move |_: Request| {
        let satisfied = checking.satisfied(&of);
        async move {
            assert!(satisfied, "all creations were seen before this reconcile");
            Ok::<_, Infallible>(Action::done())
        }
    };
    world.run_controller(controller().watches(source, map), reconcile);
    world.pass(10).await;
    for nth in 0..300 {
        maps.source
            .apply(config_map(&format!("short-{nth}"), json!({})));
        maps.source.delete(&key(&format!("short-{nth}")));
    }
    world.pass(1000).await;
    assert_eq!(expectations.pending(&set), Some(Pending::new(0, 0)));
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_map_that_panics_loses_one_event() {
    let maps = ConfigMaps::new("configmaps");
    for name in ["a", "b", "c"] {
        maps.source.apply(config_map(name, json!({})));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let map = |event: &Event<ConfigMap>, enqueue: &Enqueue| {
        assert_ne!(event.key().name(), "b");
        enqueue.add(event.key().clone());
    };
    world.run_controller(
        controller().watches(maps.as_source(), map),
        journal.reconciler(),
    );
    world.pass(10_000).await;
    assert_eq!(journal.names(), ["a", "c"]);
    world.stop().await.unwrap();
}

/// The names of maps of which an update is admitted, when each changes in one way only.
async fn admitted(predicate: Predicate<ConfigMap>) -> Vec<String> {
    let maps = ConfigMaps::new("configmaps");
    let base = |name| {
        config_map(
            name,
            json!({"metadata": {"generation": 1, "labels": {"l": "1"}, "annotations": {"a": "1"}}}),
        )
    };
    let changes = [
        ("data", json!({"data": {"a": "b"}})),
        ("generation", json!({"metadata": {"generation": 2}})),
        ("labels", json!({"metadata": {"labels": {"l": "2"}}})),
        (
            "annotations",
            json!({"metadata": {"annotations": {"a": "2"}}}),
        ),
    ];
    for (name, _) in &changes {
        maps.source.apply(base(name));
    }
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let mut handler = HandlerConfig::default();
    handler.resync = Some(ms(60_000));
    let source = maps.as_source().handler(handler).when(predicate);
    world.run_controller(controller().for_(source), journal.reconciler());
    world.pass(1000).await;
    let initial = journal.runs().len();
    for (name, change) in changes {
        maps.source.apply(config_map(name, {
            let mut object = base(name);
            k8s_openapi::DeepMerge::merge_from(&mut object, change);
            object
        }));
        world.pass(1000).await;
    }
    let mut names = journal.names().split_off(initial);
    // A resync shows all of them again.
    world.pass(60_000).await;
    let resynced = journal.runs().split_off(initial + names.len());
    if resynced.iter().any(|run| run.reasons.contains("resynced")) {
        names.push("resync".into());
    }
    // Deletions come through, if additions do.
    let before = journal.runs().len();
    maps.source.delete(&key("labels"));
    world.pass(1000).await;
    assert_eq!(journal.runs().len() > before, initial > 0);
    assert_eq!(maps.informer.store().failures().decode, 0);
    world.stop().await.expect("it stops");
    names
}

#[tokio::test(start_paused = true)]
async fn predicates_admit_what_they_say() {
    type P = Predicate<ConfigMap>;
    let all = ["data", "generation", "labels", "annotations", "resync"];
    assert_eq!(admitted(P::updates(|_, _| true)).await, all);
    assert_eq!(admitted(P::resource_version_changed()).await, all[..4]);
    assert_eq!(admitted(P::generation_changed()).await, ["generation"]);
    assert_eq!(admitted(P::labels_changed()).await, ["labels"]);
    assert_eq!(admitted(P::annotations_changed()).await, ["annotations"]);
    let either = P::generation_changed().or(P::labels_changed());
    assert_eq!(admitted(either).await, ["generation", "labels"]);
    let both = P::generation_changed().and(P::labels_changed());
    assert_eq!(admitted(both).await, [] as [&str; 0]);
    let not =
        P::resource_version_changed().and(P::labels_changed().not().or(P::generation_changed()));
    // The negation of a predicate that admits all additions admits none.
    assert_eq!(admitted(not).await, ["data", "generation", "annotations"]);
    let matching = P::matching(|meta| meta.name() == "labels");
    assert_eq!(
        admitted(matching.and(P::resource_version_changed())).await,
        ["labels"]
    );
}

/// Objects that do not decode still cause reconciles: neither sources nor predicates look inside.
#[tokio::test(start_paused = true)]
async fn predicates_on_metadata_decode_nothing() {
    let maps = ConfigMaps::new("configmaps");
    maps.source.apply(config_map("bad", json!({"data": 1})));
    let journal = Journal::new();
    let mut world = World::new();
    world.run_informer(&maps);
    let source = maps
        .as_source()
        .when(Predicate::generation_changed().or(Predicate::labels_changed()))
        .when(Predicate::annotations_changed().or(Predicate::labels_changed()))
        .when(Predicate::matching(|map| map.name() == "bad"));
    world.run_controller(controller().for_(source), journal.reconciler());
    world.pass(10).await;
    maps.source.apply(config_map(
        "bad",
        json!({"data": 2, "metadata": {"labels": {"a": "b"}}}),
    ));
    world.pass(10).await;
    assert_eq!(journal.names(), ["bad", "bad"]);
    assert_eq!(maps.informer.store().failures().decode, 0);
    world.stop().await.unwrap();
}
