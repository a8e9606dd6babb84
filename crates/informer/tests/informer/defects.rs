//! Defects of kube-runtime 5.0 that this crate must not have.

use std::time::Duration;

use kubewright_informer::HandlerConfig;

use crate::rig::{Rig, settle};

/// In kube-runtime 5.0 a subscriber to a shared reflector that meets an object that has left the
/// store sleeps for ever; then the buffer fills, and the store stops updating for everybody.
#[tokio::test(start_paused = true)]
async fn d5_a_stuck_handler_delays_neither_the_store_nor_its_siblings() {
    let rig = Rig::started(&["a"]).await;
    let (stuck, told_stuck, gate) = rig.record_gated(HandlerConfig::default());
    let (_, told_sibling) = rig.record(HandlerConfig::default());
    settle().await;
    // Objects come and leave while the handler is stuck: more than any buffer holds.
    for number in 0..5_000 {
        rig.put(&format!("brief-{number}"));
        rig.delete(&format!("brief-{number}"));
        if number % 100 == 0 {
            settle().await;
        }
    }
    rig.put("b");
    settle().await;
    assert_eq!(rig.informer.store().len(), 2, "the store holds a and b");
    assert_eq!(
        rig.informer.store().resource_version(),
        Some(rig.source.version())
    );
    let last = rig.source.version();
    assert_eq!(told_sibling.take().pop(), Some(format!("+b@{last}")));
    assert_eq!(stuck.status().pending, 1, "b alone is left to tell of");
    gate.open();
    settle().await;
    assert_eq!(told_stuck.take(), ["*a@1".to_owned(), format!("+b@{last}")]);
}

/// In kube-runtime 5.0 shared streams carry no deletions at all.
#[tokio::test(start_paused = true)]
async fn d6_deletions_reach_every_handler() {
    let mut rig = Rig::new(&["a", "b"]);
    let (_, early) = rig.record(HandlerConfig::default());
    rig.start();
    rig.informer.synced().await.unwrap();
    let (_, late) = rig.record(HandlerConfig::default());
    let (_, slow, gate) = rig.record_gated(HandlerConfig::default());
    gate.let_through(2);
    settle().await;
    rig.delete("a");
    rig.delete("b");
    settle().await;
    gate.open();
    settle().await;
    for record in [early, late, slow] {
        assert_eq!(record.take(), ["*a@1", "*b@2", "-a@3", "-b@4"]);
    }
}

/// In kube-runtime 5.0 an object that is missing from a relist vanishes without a word.
#[tokio::test(start_paused = true)]
async fn d8_missed_deletions_are_announced_with_the_last_state() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let (_, record) = rig.record(HandlerConfig::default());
    let (_, slow, gate) = rig.record_gated(HandlerConfig::default());
    gate.let_through(3);
    settle().await;
    rig.put("b");
    settle().await;
    rig.delete_unseen("a");
    rig.delete_unseen("b");
    rig.relist().await;
    gate.open();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        record.take(),
        ["*a@1", "*b@2", "*c@3", "b@2>4", "?a@1", "?b@4"]
    );
    // What a slow handler has not got to is told in one: the last state known, not the last told.
    assert_eq!(
        slow.take(),
        ["*a@1", "*b@2", "*c@3", "b@2>4", "?a@1", "?b@4"]
    );
}
