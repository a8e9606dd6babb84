//! The store: what deltas make of it, what readers see, indexes and versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::testing::FakeSource;
use kubewright_cache::{
    Delta, Event, Index, Initial, Object, ResourceVersion, SameVersion, Snapshot, Store,
    StoreConfig, StoreError, StoreWriter, Uid,
};
use serde_json::{Value, json};

use crate::rig::{Rig, describe};

type Writer = StoreWriter<ConfigMap>;

fn store() -> (Writer, Store<ConfigMap>) {
    Store::new(StoreConfig::default())
}

fn object(name: &str, version: u64) -> Object<ConfigMap> {
    with(name, version, json!({}))
}

/// An object with more metadata than its name and version.
fn with(key: &str, version: u64, more: Value) -> Object<ConfigMap> {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    let mut meta = json!({"name": name, "uid": format!("uid-of-{key}")});
    if !namespace.is_empty() {
        meta["namespace"] = json!(namespace);
    }
    if version > 0 {
        meta["resourceVersion"] = json!(version.to_string());
    }
    meta.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Object::from_json(
        json!({"metadata": meta, "data": {"n": name}})
            .to_string()
            .as_bytes(),
    )
    .unwrap()
}

fn labelled(key: &str, version: u64, value: &str) -> Object<ConfigMap> {
    with(key, version, json!({"labels": {"l": value}}))
}

fn replaced(version: u64, items: Vec<Object<ConfigMap>>) -> Delta<ConfigMap> {
    Delta::Replaced {
        items,
        undecodable: Vec::new(),
        version: ResourceVersion::from(version),
    }
}

/// Applies one delta, as a batch of its own that is not initial.
fn apply(writer: &mut Writer, delta: Delta<ConfigMap>) -> Vec<String> {
    let version = delta.version().cloned();
    let events = writer.apply(vec![delta], version.as_ref(), Initial::No);
    events.iter().map(describe).collect()
}

fn shown<'a>(objects: impl IntoIterator<Item = &'a Object<ConfigMap>>) -> Vec<String> {
    objects
        .into_iter()
        .map(|object| format!("{object:?}"))
        .collect()
}

#[test]
fn additions_and_updates_are_told_apart_by_what_the_store_has() {
    let (mut writer, store) = store();
    assert_eq!(apply(&mut writer, Delta::Updated(object("a", 1))), ["+a@1"]);
    assert_eq!(apply(&mut writer, Delta::Added(object("a", 2))), ["~a@1>2"]);
    assert_eq!(apply(&mut writer, Delta::Deleted(object("a", 3))), ["-a@3"]);
    assert_eq!(
        apply(&mut writer, Delta::Deleted(object("a", 3))),
        [""; 0],
        "it is gone already"
    );
    assert!(store.is_empty());
}

/// Answers to client-go's `TestReplaceEvents`: deletions first, then additions and updates in
/// order, and the store shows the outcome before anybody is told.
#[test]
fn a_picture_is_applied_as_one() {
    let (mut writer, store) = store();
    apply(
        &mut writer,
        replaced(
            4,
            vec![
                object("a", 1),
                object("b", 2),
                object("c", 3),
                object("d", 4),
            ],
        ),
    );
    let before = store.snapshot();
    let picture = vec![
        object("z", 9),
        object("c", 8),
        object("a", 1),
        object("b", 7),
    ];
    let events = writer.apply(vec![replaced(9, picture)], Some(&9.into()), Initial::No);
    assert_eq!(shown(store.snapshot().iter()), ["a@1", "b@7", "c@8", "z@9"]);
    assert_eq!(shown(before.iter()), ["a@1", "b@2", "c@3", "d@4"]);
    let events: Vec<_> = events.iter().map(describe).collect();
    assert_eq!(events, ["-d@4?", "~b@2>7", "~c@3>8", "+z@9"]);
    assert_eq!(store.resource_version(), Some(9.into()));
}

/// Answers to client-go's `TestRealFIFOW_ReplaceMakesDeletionsForObjectsOnlyInQueue`: an object that
/// was only ever in the log is deleted by a picture without it, once.
#[test]
fn objects_between_two_pictures_are_deleted_exactly_once() {
    let (mut writer, _store) = store();
    let deltas = vec![
        replaced(1, vec![]),
        Delta::Added(object("a", 2)),
        replaced(3, vec![]),
        replaced(4, vec![]),
    ];
    let events = writer.apply(deltas, Some(&4.into()), Initial::No);
    let events: Vec<_> = events.iter().map(describe).collect();
    assert_eq!(events, ["+a@2", "-a@2?"]);
}

/// Answers to client-go's `TestDeltaFIFO_replaceWithDeleteDeltaIn`.
#[test]
fn a_picture_after_a_deletion_does_not_delete_again() {
    let (mut writer, _store) = store();
    apply(&mut writer, replaced(1, vec![object("a", 1)]));
    let deltas = vec![
        Delta::Deleted(object("a", 2)),
        replaced(3, vec![object("b", 3)]),
    ];
    let events = writer.apply(deltas, None, Initial::No);
    let events: Vec<_> = events.iter().map(describe).collect();
    assert_eq!(events, ["-a@2", "+b@3"]);
}

/// Answers to client-go's `TestDeltaFIFO_UpdateResyncRace`: a resync behind an update shows the
/// update, never what was before it.
#[test]
fn a_resync_shows_the_latest_state() {
    let (mut writer, _store) = store();
    apply(
        &mut writer,
        replaced(1, vec![object("a", 1), object("b", 1)]),
    );
    let events = writer.apply(
        vec![Delta::Updated(object("a", 2)), Delta::Sync],
        None,
        Initial::No,
    );
    assert_eq!(
        events.iter().map(describe).collect::<Vec<_>>(),
        ["~a@1>2", "~a@2>2", "~b@1>1"]
    );
    assert!(events[1].is_resync() && !events[0].is_resync());
    let Event::Updated { old, new } = &events[2] else {
        panic!("a resync is an update")
    };
    assert!(old.ptr_eq(new));
}

/// A relist that brings what the store has is no news, and the store keeps its own objects.
#[test]
fn an_update_to_the_same_version_is_suppressed_unless_asked_for() {
    for (same_version, told) in [
        (SameVersion::Suppress, &[][..]),
        (SameVersion::Deliver, &["~a@1>1", "~b@2>2"][..]),
    ] {
        let mut config = StoreConfig::default();
        config.same_version = same_version;
        let (mut writer, store) = Store::new(config);
        let picture = || replaced(2, vec![object("a", 1), object("b", 2)]);
        apply(&mut writer, picture());
        let own = store.get("a").unwrap();
        assert_eq!(apply(&mut writer, picture()), told);
        assert_eq!(
            apply(&mut writer, Delta::Updated(object("a", 1))),
            &told[..told.len() / 2]
        );
        assert!(store.get("a").unwrap().ptr_eq(&own));
    }
}

/// Objects that no server has versioned are never taken for the same.
#[test]
fn updates_without_a_version_are_delivered() {
    let (mut writer, _store) = store();
    apply(&mut writer, Delta::Added(object("a", 0)));
    assert_eq!(apply(&mut writer, Delta::Updated(object("a", 0))), ["~a@>"]);
}

#[test]
fn another_incarnation_is_a_deletion_and_an_addition() {
    let (mut writer, _store) = store();
    let recreated = |version| with("a", version, json!({"uid": "another"}));
    apply(&mut writer, Delta::Added(object("a", 1)));
    assert_eq!(
        apply(&mut writer, Delta::Updated(recreated(2))),
        ["-a@1?", "+a@2"]
    );
    assert_eq!(
        apply(&mut writer, replaced(3, vec![object("a", 3)])),
        ["-a@2?", "+a@3"]
    );
    // The deletion of one that was never seen means that the known one is gone, too.
    assert_eq!(apply(&mut writer, Delta::Deleted(recreated(4))), ["-a@3?"]);
}

#[test]
fn of_several_items_with_one_key_the_last_counts() {
    let (mut writer, store) = store();
    let picture = vec![
        object("b", 1),
        object("a", 2),
        object("b", 3),
        object("a", 4),
    ];
    assert_eq!(apply(&mut writer, replaced(5, picture)), ["+a@4", "+b@3"]);
    assert_eq!(store.len(), 2);
}

#[test]
fn snapshots_never_change() {
    let (mut writer, store) = store();
    apply(&mut writer, Delta::Added(object("a", 1)));
    let snapshot = store.snapshot();
    apply(&mut writer, Delta::Updated(object("a", 2)));
    apply(&mut writer, Delta::Added(object("b", 3)));
    assert_eq!(shown(snapshot.iter()), ["a@1"]);
    assert_eq!(snapshot.resource_version(), Some(&1.into()));
    assert_eq!(shown(store.snapshot().iter()), ["a@2", "b@3"]);
}

/// Nobody sees half a batch.
#[test]
fn a_batch_is_one_step_to_readers() {
    let (mut writer, store) = store();
    let observed = store.clone();
    let counted = Arc::new(AtomicUsize::new(usize::MAX));
    let count = Arc::clone(&counted);
    // An index function runs in the middle of a batch.
    let index = Index::on_meta(move |_| {
        count.fetch_min(observed.len(), Ordering::Relaxed);
        Vec::new()
    });
    store.add_index("spy", index).unwrap();
    let batch = (0..10).map(|number| Delta::Added(object(&format!("o{number}"), 1)));
    writer.apply(batch, None, Initial::No);
    assert_eq!((counted.load(Ordering::Relaxed), store.len()), (0, 10));
}

#[test]
fn a_namespace_is_a_range() {
    let (mut writer, store) = store();
    let keys = ["a/x", "a-b/x", "ab/x", "a/y", "a.b/x", "a0/x", "b/a"];
    apply(
        &mut writer,
        replaced(1, keys.map(|key| object(key, 1)).into()),
    );
    assert_eq!(shown(&store.namespace("a")), ["a/x@1", "a/y@1"]);
    assert_eq!(shown(&store.namespace("a-b")), ["a-b/x@1"]);
    assert_eq!(shown(&store.namespace("none")), [""; 0]);
}

#[test]
fn owners_are_indexed_by_the_controller_alone() {
    let owner = |uid: &str, controller: bool| {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid,
            "controller": controller})
    };
    let owned =
        |key: &str, version, owners: Value| with(key, version, json!({"ownerReferences": owners}));
    let (mut writer, store) = store();
    apply(
        &mut writer,
        Delta::Added(owned(
            "n/a",
            1,
            json!([owner("x", false), owner("r", true)]),
        )),
    );
    apply(
        &mut writer,
        Delta::Added(owned("n/b", 2, json!([owner("r", true)]))),
    );
    apply(
        &mut writer,
        Delta::Added(owned("n/c", 3, json!([owner("r", false)]))),
    );
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), ["n/a@1", "n/b@2"]);
    assert_eq!(shown(&store.owned_by(&Uid::from("x"))), [""; 0]);

    // Adopted, released, deleted.
    apply(
        &mut writer,
        Delta::Updated(owned("n/c", 4, json!([owner("r", true)]))),
    );
    apply(&mut writer, Delta::Updated(owned("n/a", 5, json!([]))));
    apply(&mut writer, Delta::Deleted(owned("n/b", 6, json!([]))));
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), ["n/c@4"]);
    apply(
        &mut writer,
        replaced(7, vec![owned("n/c", 7, json!([owner("s", true)]))]),
    );
    assert_eq!(shown(&store.owned_by(&Uid::from("r"))), [""; 0]);
    assert_eq!(shown(&store.owned_by(&Uid::from("s"))), ["n/c@7"]);
}

fn by_label() -> Index<ConfigMap> {
    Index::on_meta(|meta| {
        let values = meta.label("l").unwrap_or_default();
        values
            .split('_')
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

fn values(store: &Store<ConfigMap>) -> Vec<String> {
    let snapshot = store.snapshot();
    snapshot
        .index_values("l")
        .unwrap()
        .map(str::to_owned)
        .collect()
}

/// Answers to client-go's `TestThreadSafeStoreIndexingFunctionsWithMultipleValues` and
/// `TestMultiIndexKeys`.
#[test]
fn an_object_moves_between_any_number_of_values() {
    let (mut writer, store) = store();
    store.add_index("l", by_label()).unwrap();
    let find = |value: &str| shown(&store.by_index("l", value).unwrap());
    apply(&mut writer, Delta::Added(labelled("a", 1, "foo_bar_foo")));
    apply(&mut writer, Delta::Added(labelled("b", 2, "bar")));
    assert_eq!(
        (find("foo"), find("bar")),
        (vec!["a@1".into()], vec!["a@1".into(), "b@2".into()])
    );
    apply(&mut writer, Delta::Updated(labelled("a", 3, "foo_baz")));
    assert_eq!(find("bar"), ["b@2"]);
    assert_eq!(find("baz"), ["a@3"]);
    assert_eq!(
        find("foo"),
        ["a@3"],
        "what stays filed shows the new version"
    );
    apply(&mut writer, Delta::Updated(labelled("a", 4, "")));
    assert_eq!(values(&store), ["bar"]);
}

/// Answers to client-go's `TestThreadSafeStoreDeleteRemovesEmptySetsFromIndex`.
#[test]
fn values_without_objects_are_gone() {
    let (mut writer, store) = store();
    store.add_index("l", by_label()).unwrap();
    for round in 1..100 {
        apply(
            &mut writer,
            Delta::Added(labelled("a", round, &format!("v{round}"))),
        );
        assert_eq!(values(&store), [format!("v{round}")]);
    }
    apply(&mut writer, Delta::Deleted(labelled("a", 100, "v")));
    assert_eq!(values(&store), [""; 0]);
    apply(&mut writer, Delta::Added(labelled("a", 101, "x")));
    apply(&mut writer, replaced(102, vec![]));
    assert_eq!(values(&store), [""; 0]);
}

/// Answers to client-go's `TestIndexer`, `TestGetIndexFuncValues` and `TestAddIndexers...`: an index
/// added to a filled store knows what is in it; its name must be new.
#[test]
fn an_index_can_be_added_at_any_time() {
    let (mut writer, store) = store();
    apply(
        &mut writer,
        replaced(1, vec![labelled("a", 1, "x"), labelled("b", 1, "y")]),
    );
    assert_eq!(
        store.by_index("l", "x").unwrap_err(),
        StoreError::UnknownIndex("l".into())
    );
    store.add_index("l", by_label()).unwrap();
    assert_eq!(shown(&store.by_index("l", "x").unwrap()), ["a@1"]);
    assert_eq!(
        store.add_index("l", by_label()),
        Err(StoreError::IndexExists("l".into()))
    );
    apply(&mut writer, Delta::Updated(labelled("b", 2, "x")));
    assert_eq!(shown(&store.by_index("l", "x").unwrap()), ["a@1", "b@2"]);
}

#[test]
fn an_index_may_look_into_the_typed_object() {
    let (mut writer, store) = store();
    let index = Index::on_object(|map: &ConfigMap| {
        map.data
            .iter()
            .flatten()
            .map(|(_, value)| value.clone())
            .collect()
    });
    store.add_index("data", index).unwrap();
    apply(&mut writer, Delta::Added(object("a", 1)));
    assert_eq!(shown(&store.by_index("data", "a").unwrap()), ["a@1"]);
}

/// Answers to client-go's `TestProcessDeltasInBatch` and `TransactionShouldIndexErrors`: an object
/// whose index function fails or panics is missing from that index, and from nothing else.
#[test]
fn a_failing_index_function_concerns_one_object() {
    let (mut writer, store) = store();
    let index = Index::new(
        |object: &Object<ConfigMap>| match object.meta().label("l") {
            Some("panic") => panic!("a bug in the index function"),
            Some("error") => Err("no value for that".into()),
            value => Ok(value.map(str::to_owned).into_iter().collect()),
        },
    );
    store.add_index("l", index).unwrap();
    let deltas = ["x", "panic", "error", "y"]
        .into_iter()
        .map(|value| Delta::Added(labelled(value, 1, value)));
    assert_eq!(writer.apply(deltas, None, Initial::No).len(), 4);
    assert_eq!(store.len(), 4);
    assert_eq!(values(&store), ["x", "y"]);
    assert_eq!(store.failures().index, 2);
    // A version that it can take is filed again, and one it cannot take is unfiled.
    apply(&mut writer, Delta::Updated(labelled("panic", 2, "z")));
    apply(&mut writer, Delta::Updated(labelled("x", 2, "error")));
    assert_eq!(values(&store), ["y", "z"]);
}

/// Answers to client-go's `TestStoreResourceVersion` and `TestThreadSafeStoreRV`: changes, deletions,
/// pictures and bookmarks move the version; it never goes back.
#[test]
fn the_version_follows_the_log_and_never_goes_back() {
    let (mut writer, store) = store();
    let version = || store.resource_version().map(|version| version.to_string());
    assert_eq!(version(), None);
    apply(&mut writer, replaced(3, vec![object("a", 1)]));
    assert_eq!(version().as_deref(), Some("3"));
    apply(&mut writer, Delta::Updated(object("a", 5)));
    assert_eq!(version().as_deref(), Some("5"));
    apply(&mut writer, Delta::Deleted(object("a", 7)));
    assert_eq!(version().as_deref(), Some("7"));
    apply(&mut writer, Delta::Bookmark { version: 9.into() });
    assert_eq!(version().as_deref(), Some("9"));
    apply(&mut writer, Delta::Bookmark { version: 8.into() });
    apply(&mut writer, Delta::Added(object("b", 4)));
    assert_eq!(version().as_deref(), Some("9"));
    apply(&mut writer, Delta::Sync);
    assert_eq!(version().as_deref(), Some("9"));
}

#[tokio::test]
async fn waiting_for_a_version_ends_when_the_store_has_it() {
    let (mut writer, store) = store();
    let six = ResourceVersion::from(6);
    let waiting = store.wait_until(&six);
    tokio::pin!(waiting);
    assert!(
        waiting.as_mut().now_or_never().is_none(),
        "there is nothing yet"
    );
    apply(&mut writer, replaced(5, vec![]));
    assert!(waiting.as_mut().now_or_never().is_none());
    apply(&mut writer, Delta::Bookmark { version: 7.into() });
    assert_eq!(
        waiting.now_or_never(),
        Some(Ok(())),
        "a later version will do"
    );
    assert_eq!(store.wait_until(&6.into()).await, Ok(()));
}

#[tokio::test]
async fn waiting_fails_where_it_cannot_end() {
    let (mut writer, store) = store();
    apply(&mut writer, replaced(5, vec![]));
    let opaque = ResourceVersion::from("opaque");
    assert_eq!(
        store.wait_until(&opaque).await,
        Err(StoreError::Incomparable(opaque))
    );
    let six = ResourceVersion::from(6);
    let mut changes = store.version_changes();
    let waiting = store.wait_until(&six);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(writer);
    assert_eq!(waiting.now_or_never(), Some(Err(StoreError::Closed)));
    assert_eq!(changes.changed().await, Err(StoreError::Closed));
    assert_eq!(
        store.wait_until(&5.into()).await,
        Ok(()),
        "what it has it has"
    );
}

#[tokio::test]
async fn changes_are_told_without_being_missed() {
    let (mut writer, store) = store();
    let mut changes = store.version_changes();
    assert!(changes.changed().now_or_never().is_none());
    apply(&mut writer, replaced(1, vec![]));
    apply(&mut writer, Delta::Bookmark { version: 2.into() });
    assert_eq!(
        changes.changed().await,
        Ok(Some(2.into())),
        "two changes are told as one"
    );
    assert!(changes.changed().now_or_never().is_none());
}

/// The typed form is shared while somebody holds it, and stays for a while when nobody does: the
/// store keeps a bounded number of decoded objects.
#[tokio::test(start_paused = true)]
async fn decoded_objects_are_shared_and_bounded() {
    let source = FakeSource::new();
    for number in 0..4 {
        source.apply(crate::rig::object(&format!("o{number}")));
    }
    let rig = Rig::configured(source, |_, store| store.decoded_cache = 200);
    rig.settle().await;
    let object = |number: usize| rig.store.get(format!("o{number}")).unwrap();
    let bodies: Vec<usize> = (0..4).map(|number| object(number).body().len()).collect();
    assert!(
        bodies.iter().all(|length| (70..100).contains(length)),
        "two fit: {bodies:?}"
    );

    let held = object(0).get().unwrap();
    assert!(Arc::ptr_eq(&held, &object(0).get().unwrap()));
    let kept: Vec<_> = (1..4)
        .map(|number| Arc::downgrade(&object(number).get().unwrap()))
        .collect();
    let alive: Vec<bool> = kept.iter().map(|typed| typed.strong_count() > 0).collect();
    assert_eq!(alive, [false, true, true], "the oldest had to leave");
    assert!(
        Arc::ptr_eq(&held, &object(0).get().unwrap()),
        "what is held is shared all the same"
    );
    rig.stop().await;
}

#[test]
fn typed_objects_go_in_and_come_out() {
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "m", "namespace": "n"}, "data": {"k": "v"},
    }))
    .unwrap();
    let object = Object::from_typed(&map).unwrap();
    assert_eq!(object.key().to_string(), "n/m");
    assert_eq!(*object.get().unwrap(), map);
}

/// Answers to client-go's `TestDeletionHandlingObjectToName`: a deletion has its key, whatever it
/// is sure of.
#[test]
fn every_event_has_a_key() {
    let (mut writer, _store) = store();
    apply(&mut writer, Delta::Added(object("n/a", 1)));
    let events = writer.apply(vec![replaced(2, vec![])], None, Initial::No);
    assert_eq!(events[0].key().to_string(), "n/a");
}

/// A snapshot can be taken while a batch is being applied, and from many threads.
#[test]
fn readers_and_the_writer_do_not_wait_for_each_other() {
    let (mut writer, store) = store();
    apply(
        &mut writer,
        replaced(
            0,
            (0..100)
                .map(|number| object(&format!("o{number:02}"), 1))
                .collect(),
        ),
    );
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 500 {
                    let snapshot: Snapshot<_> = store.snapshot();
                    let versions: Vec<u64> = snapshot
                        .iter()
                        .map(|object| {
                            object
                                .meta()
                                .resource_version()
                                .to_string()
                                .parse()
                                .unwrap()
                        })
                        .collect();
                    assert_eq!(versions.len(), 100);
                    assert!(
                        versions.iter().all(|version| *version == versions[0]),
                        "all of one batch"
                    );
                    assert!(versions[0] >= last);
                    last = versions[0];
                }
            });
        }
        for version in 2..=500 {
            let batch =
                (0..100).map(|number| Delta::Updated(object(&format!("o{number:02}"), version)));
            writer.apply(batch, Some(&version.into()), Initial::No);
        }
    });
}
