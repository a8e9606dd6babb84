//! What handlers are told when a watch breaks and a new list takes its place.

use std::sync::Arc;

use kubewright_cache::Index;
use kubewright_informer::{Event, HandlerConfig, Object};
use parking_lot::Mutex;

use crate::rig::{Rig, Thing, key, lossless, resynced, settle, show, thing};

/// Answers to client-go's `TestSharedInformerWatchDisruption`: what the watch missed is told after
/// the relist, and what did not change only to handlers that asked for resyncs.
#[tokio::test(start_paused = true)]
async fn missed_changes_are_told_after_a_relist() {
    let mut rig = Rig::new(&["a", "b", "c"]);
    let (_, plain) = rig.record(HandlerConfig::default());
    let (_, resynced) = rig.record(resynced(3600));
    rig.start();
    rig.informer.synced().await.unwrap();
    settle().await;
    plain.take();
    resynced.take();

    rig.put_unseen("b");
    rig.delete_unseen("c");
    rig.put_unseen("d");
    settle().await;
    assert_eq!(plain.len(), 0, "nothing was seen");
    rig.relist().await;
    let told = plain.take();
    assert_eq!(told, ["?c@3", "b@2>4", "+d@6"]);
    assert_eq!(resynced.take(), told);
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    assert_eq!(resynced.take(), ["a@1>1", "b@4>4", "d@6>6"]);
    assert_eq!(plain.len(), 0);
}

/// Answers to client-go's `TestReplaceEvents`: deletions first, then the rest in order, and the
/// store shows all of it before any is told.
#[tokio::test(start_paused = true)]
async fn a_relist_is_in_the_store_before_it_is_told() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (store, lines) = (rig.informer.store().clone(), Arc::clone(&seen));
    let handler = move |event: Event<Thing>| {
        let keys: Vec<_> = store
            .snapshot()
            .iter()
            .map(|object| object.key().to_string())
            .collect();
        lines
            .lock()
            .push(format!("{} {}", show(&event), keys.concat()));
    };
    rig.informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    settle().await;
    seen.lock().clear();

    rig.put_unseen("b");
    rig.delete_unseen("a");
    rig.put_unseen("d");
    rig.relist().await;
    assert_eq!(*seen.lock(), ["?a@1 bcd", "b@2>4 bcd", "+d@6 bcd"]);
}

/// Answers to client-go's `TestResetWatch`: what a relist reveals is not initial.
#[tokio::test(start_paused = true)]
async fn additions_after_the_first_picture_are_not_initial() {
    let mut rig = Rig::new(&["a"]);
    let (registration, record) = rig.record(HandlerConfig::default());
    rig.start();
    registration.synced().await.unwrap();
    rig.put_unseen("a");
    rig.put_unseen("b");
    rig.relist().await;
    assert_eq!(record.take(), ["*a@1", "a@1>2", "+b@3"]);
}

/// Answers to client-go's `TestUpdate`: whatever is lost on the way, the last state arrives.
#[tokio::test(start_paused = true)]
async fn the_final_state_always_arrives() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut rig = Rig::new(&["a", "b", "c", "d"]);
    let (_, coalesced) = rig.record(HandlerConfig::default());
    let (_, all) = rig.record(lossless(3));
    rig.start();
    let mut last = std::collections::BTreeMap::new();
    for round in 0..200 {
        let name = ["a", "b", "c", "d"][random.usize(..4)];
        if random.bool() {
            last.insert(name, rig.put(name).to_string());
        } else {
            rig.put_unseen(name);
            last.insert(name, rig.source.version().to_string());
        }
        match random.u8(..12) {
            0 => rig.relist().await,
            1..4 => settle().await,
            4 if round > 20 => rig.source.end_watches(),
            _ => {}
        }
    }
    rig.relist().await;
    for record in [coalesced, all] {
        let lines = record.take();
        for (name, version) in &last {
            let mine = lines.iter().rfind(|line| line.contains(name)).unwrap();
            assert!(
                mine.ends_with(&format!("{name}@{version}"))
                    || mine.ends_with(&format!(">{version}")),
                "{mine}"
            );
        }
    }
}

/// Answers to client-go's `TestStoreResourceVersion`: the store's version moves with changes,
/// deletions, bookmarks and lists, and never back.
#[tokio::test(start_paused = true)]
async fn the_store_knows_its_version() {
    let mut rig = Rig::new(&["a"]);
    let version = |rig: &Rig| {
        rig.informer
            .store()
            .resource_version()
            .map(|version| version.to_string())
    };
    assert_eq!(version(&rig), None);
    rig.start();
    rig.informer.synced().await.unwrap();
    assert_eq!(version(&rig).as_deref(), Some("1"));
    rig.put("b");
    settle().await;
    assert_eq!(version(&rig).as_deref(), Some("2"));
    rig.delete("a");
    settle().await;
    assert_eq!(version(&rig).as_deref(), Some("3"));
    rig.source.advance_to(10);
    rig.source.bookmark();
    settle().await;
    assert_eq!(version(&rig).as_deref(), Some("10"));
    rig.source.advance_to(20);
    rig.relist().await;
    assert_eq!(version(&rig).as_deref(), Some("20"));
}

/// Answers to client-go's `TestDeletionHandlingObjectToName` and `TestDeletedObjectGet*`: a
/// deletion has a key and a state like any other event.
#[tokio::test(start_paused = true)]
async fn inferred_deletions_have_key_and_state() {
    let rig = Rig::started(&["prod/a"]).await;
    let last = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&last);
    let handler = move |event: Event<Thing>| *slot.lock() = Some(event);
    rig.informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    rig.delete_unseen("prod/a");
    rig.relist().await;
    let event = last.lock().take().unwrap();
    assert_eq!(show(&event), "?prod/a@1");
    assert_eq!(
        (event.key().namespace(), event.key().name()),
        (Some("prod"), "a")
    );
    let object: &Object<Thing> = event.object();
    assert_eq!(object.get().unwrap().metadata.name.as_deref(), Some("a"));
}

/// An object that was deleted and created anew unseen is two events, not a masked update, also
/// for a handler that was not there in between.
#[tokio::test(start_paused = true)]
async fn another_incarnation_is_a_deletion_and_an_addition() {
    let rig = Rig::started(&["a"]).await;
    let (_, quick) = rig.record(HandlerConfig::default());
    let (_, slow, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    rig.put("a");
    rig.delete_unseen("a");
    rig.put_unseen("a");
    rig.relist().await;
    assert_eq!(quick.take(), ["*a@1", "a@1>2", "?a@2", "+a@4"]);
    gate.open();
    settle().await;
    assert_eq!(
        slow.take(),
        ["*a@1", "?a@2", "+a@4"],
        "the update was coalesced away"
    );
}

/// Answers to client-go's `TestIndexer`: indexes are asked, and added while the informer runs.
#[tokio::test(start_paused = true)]
async fn indexes_are_added_before_and_after_the_start() {
    let mut rig = Rig::new(&[]);
    let labelled = |name: &str, team: &str| {
        let mut thing = thing(name);
        thing["metadata"]["labels"] = serde_json::json!({"team": team});
        thing
    };
    let by_team =
        || Index::on_meta(|meta| meta.label("team").map(str::to_owned).into_iter().collect());
    let names = |rig: &Rig, index: &str, team: &str| {
        let objects = rig.informer.store().by_index(index, team).unwrap();
        let names: Vec<_> = objects
            .iter()
            .map(|object| object.key().to_string())
            .collect();
        names.join(" ")
    };
    rig.source.apply(labelled("a", "red"));
    rig.source.apply(labelled("b", "blue"));
    rig.informer.store().add_index("early", by_team()).unwrap();
    rig.start();
    rig.informer.synced().await.unwrap();
    rig.informer.store().add_index("late", by_team()).unwrap();
    rig.source.apply(labelled("c", "red"));
    rig.source.apply(labelled("a", "blue"));
    rig.source.delete(&key("b"));
    settle().await;
    for index in ["early", "late"] {
        assert_eq!(names(&rig, index, "red"), "c");
        assert_eq!(names(&rig, index, "blue"), "a");
    }
    assert!(rig.informer.store().add_index("late", by_team()).is_err());
    assert!(rig.informer.store().by_index("none", "red").is_err());
}

/// Handlers are told by one who has the store's order: across keys, too.
#[tokio::test(start_paused = true)]
async fn events_come_in_the_order_of_changes() {
    let rig = Rig::started(&[]).await;
    let (_, record) = rig.record(lossless(1));
    settle().await;
    let names = ["z", "y", "x", "w", "v"];
    for name in names.iter().chain(&names) {
        rig.put(name);
    }
    settle().await;
    let expected: Vec<_> = (1..=10)
        .zip(names.iter().chain(&names))
        .map(|(version, name)| match version {
            1..=5 => format!("+{name}@{version}"),
            _ => format!("{name}@{}>{version}", version - 5),
        })
        .collect();
    assert_eq!(record.take(), expected);
}
