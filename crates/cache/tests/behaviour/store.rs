//! The store: what deltas make of it, what readers see, and versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::testing::FakeSource;
use kubewright_cache::{
    Delta, Event, Index, Initial, Object, ResourceVersion, SameVersion, Snapshot, Store,
    StoreConfig, StoreError,
};
use serde_json::json;

use crate::by_hand::{apply, object, replaced, shown, store, with};
use crate::rig::{Rig, describe};

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

/// The typed form of what was asked for lately stays at hand, within a bound; of the rest nothing
/// stays, not even the memory of the struct itself.
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

    let typed: Vec<_> = (0..4).map(|number| object(number).get().unwrap()).collect();
    let kept: Vec<bool> = typed
        .iter()
        .map(|typed| Arc::strong_count(typed) > 1)
        .collect();
    assert_eq!(kept, [false, false, true, true], "the oldest had to leave");
    assert!(typed.iter().all(|typed| Arc::weak_count(typed) == 0));
    assert!(Arc::ptr_eq(&typed[3], &object(3).get().unwrap()));
    assert_eq!(typed[0], object(0).get().unwrap(), "decoded once more");
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

/// Set when it is dropped.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
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
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                loop {
                    let is_over = is_over.load(Ordering::Acquire);
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
                    if is_over {
                        break;
                    }
                }
                assert_eq!(last, 500);
            });
        }
        // Also if the writer panics, so that readers do not wait for it for ever.
        let _over = OnDrop(&is_over);
        for version in 2..=500 {
            let batch =
                (0..100).map(|number| Delta::Updated(object(&format!("o{number:02}"), version)));
            writer.apply(batch, Some(&version.into()), Initial::No);
        }
    });
}
