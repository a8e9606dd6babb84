//! Handlers that come before the start, in the middle and late.

use kubewright_informer::{HandlerConfig, async_handler};

use crate::rig::{Rig, Thing, settle};

/// Answers to client-go's `TestAddWhileActive`.
#[tokio::test(start_paused = true)]
async fn a_late_handler_is_told_of_each_object_once_then_of_changes() {
    let rig = Rig::started(&["a", "b"]).await;
    rig.put("a");
    settle().await;
    let (_, late) = rig.record(HandlerConfig::default());
    rig.put("b");
    settle().await;
    rig.put("c");
    rig.delete("a");
    settle().await;
    // The update of b may already be in the replay; here the driver was quicker.
    assert_eq!(late.take(), ["*a@3", "*b@2", "b@2>4", "+c@5", "-a@6"]);
}

/// Answers to client-go's `TestSharedInformerMultipleRegistration`.
#[tokio::test(start_paused = true)]
async fn the_same_handler_twice_is_two_handlers() {
    let rig = Rig::started(&["a"]).await;
    let (first, record) = rig.record(HandlerConfig::default());
    let second = rig
        .informer
        .add_handler(record.handler(), HandlerConfig::default())
        .unwrap();
    settle().await;
    assert_eq!(record.take(), ["*a@1", "*a@1"]);
    first.remove().await;
    rig.put("a");
    settle().await;
    assert_eq!(record.take(), ["a@1>2"]);
    second.remove().await;
    rig.put("a");
    settle().await;
    assert!(record.take().is_empty());
}

/// Answers to client-go's `TestSharedInformerInitializationRace` and
/// `TestSharedInformerStartRace`: handlers and `run` in any order lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_race_with_the_start() {
    for _ in 0..50 {
        let mut rig = Rig::new(&["a", "b", "c"]);
        let mut adding = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let informer = rig.informer.clone();
            adding.spawn(async move {
                let record = crate::rig::Record::default();
                let handler = record.handler();
                let registration = informer.add_handler(handler, HandlerConfig::default());
                registration.unwrap().synced().await.unwrap();
                record.take()
            });
        }
        rig.start();
        while let Some(told) = adding.join_next().await {
            assert_eq!(told.unwrap(), ["*a@1", "*b@2", "*c@3"]);
        }
        rig.stop().await;
    }
}

/// Answers to client-go's `TestBasicLogic` and `TestAsyncLocking` (synctrack): in sync means
/// handled, not sent.
#[tokio::test(start_paused = true)]
async fn a_handler_is_in_sync_once_it_has_handled_the_initial_list() {
    let mut rig = Rig::new(&["a", "b"]);
    let (slow, _, gate) = rig.record_gated(HandlerConfig::default());
    let (quick, _) = rig.record(HandlerConfig::default());
    settle().await;
    assert!(!rig.informer.has_synced() && !quick.has_synced());
    rig.start();
    settle().await;
    assert!(rig.informer.has_synced() && quick.has_synced());
    assert!(!slow.has_synced(), "both additions wait");
    rig.put("c");
    gate.let_through(1);
    settle().await;
    assert!(!slow.has_synced(), "the second addition is being handled");
    gate.let_through(1);
    slow.synced().await.unwrap();
    assert!(slow.has_synced());
    assert_eq!(
        slow.status().pending,
        0,
        "c, which is not initial, is in the handler's hands"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_handler_is_in_sync_once_it_has_handled_the_replay() {
    let rig = Rig::started(&["a", "b"]).await;
    let (late, _, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    gate.let_through(1);
    settle().await;
    assert!(!late.has_synced());
    gate.let_through(1);
    late.synced().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn initial_additions_that_vanish_do_not_hold_up_being_in_sync() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let (late, record, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    rig.delete("b");
    rig.delete("c");
    settle().await;
    gate.let_through(1);
    late.synced().await.unwrap();
    assert_eq!(record.take(), ["*a@1"]);
}

#[tokio::test(start_paused = true)]
async fn without_objects_handlers_are_in_sync_with_the_source() {
    let mut rig = Rig::new(&[]);
    let (early, _) = rig.record(HandlerConfig::default());
    rig.start();
    early.synced().await.unwrap();
    let (late, _) = rig.record(HandlerConfig::default());
    late.synced().await.unwrap();
    assert!(rig.informer.has_synced());
}

/// A handler may use the informer it serves.
#[tokio::test(start_paused = true)]
async fn a_handler_adds_another() {
    let rig = Rig::started(&["a"]).await;
    let second = crate::rig::Record::default();
    let (informer, inner) = (rig.informer.clone(), second.clone());
    let handler = async_handler(move |_: kubewright_informer::Event<Thing>| {
        let added = informer.add_handler(inner.handler(), HandlerConfig::default());
        async move { added.unwrap().synced().await.unwrap() }
    });
    let first = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    first.synced().await.unwrap();
    assert_eq!(second.take(), ["*a@1"]);
}
