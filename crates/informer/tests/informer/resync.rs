//! Being shown everything again.

use std::time::Duration;

use kubewright_cache::{SameVersion, StoreConfig};
use kubewright_informer::{HandlerConfig, InformerConfig};

use crate::rig::{Rig, lossless, resynced, settle};

/// Answers to client-go's `TestListenerResyncPeriods` and `TestResyncCheckPeriod`: each handler
/// has its own period, whenever it came.
#[tokio::test(start_paused = true)]
async fn each_handler_has_its_own_period() {
    let rig = Rig::started(&["a", "b"]).await;
    let (_, never) = rig.record(HandlerConfig::default());
    let (_, two) = rig.record(resynced(2));
    let (_, three) = rig.record(resynced(3));
    settle().await;
    for record in [&never, &two, &three] {
        assert_eq!(record.take(), ["*a@1", "*b@2"]);
    }
    let (mut twos, mut threes) = (Vec::new(), Vec::new());
    for second in 1..=7 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shown = ["a@1>1", "b@2>2"];
        for (record, seconds) in [(&two, &mut twos), (&three, &mut threes)] {
            let lines = record.take();
            if !lines.is_empty() {
                assert_eq!(lines, shown);
                seconds.push(second);
            }
        }
    }
    assert_eq!((twos, threes), (vec![2, 4, 6], vec![3, 6]));
    assert_eq!(never.len(), 0);
}

/// Answers to client-go's `TestListenerResyncPeriodsDelayed`: a handler that comes late counts its
/// period from then.
#[tokio::test(start_paused = true)]
async fn a_period_counts_from_the_handlers_arrival() {
    let mut rig = Rig::new(&["a"]);
    let (_, early) = rig.record(resynced(4));
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.start();
    rig.informer.synced().await.unwrap();
    settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, late) = rig.record(resynced(3));
    settle().await;
    early.take();
    late.take();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        (early.take(), late.take()),
        (vec!["a@1>1".to_owned()], vec![])
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (early.take(), late.take()),
        (vec![], vec!["a@1>1".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_removed_handler_is_not_resynced() {
    let rig = Rig::started(&["a"]).await;
    let (registration, record) = rig.record(resynced(1));
    settle().await;
    registration.remove().await;
    record.take();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(record.len(), 0);
}

/// A resync is no change: it never takes the place of one that waits.
#[tokio::test(start_paused = true)]
async fn a_resync_does_not_hide_a_change() {
    let rig = Rig::started(&["a", "b"]).await;
    let (_, record, gate) = rig.record_gated(resynced(1));
    gate.let_through(2);
    settle().await;
    record.take();
    rig.put("a");
    rig.put("b");
    rig.put("b");
    tokio::time::sleep(Duration::from_secs(3)).await;
    gate.open();
    settle().await;
    assert_eq!(record.take(), ["a@1>3", "b@2>5", "a@3>3"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_lossless_mailbox_is_not_resynced() {
    let rig = Rig::started(&["a"]).await;
    let mut config = lossless(1);
    config.resync = Some(Duration::from_secs(1));
    let (registration, record, gate) = rig.record_gated(config);
    settle().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(
        registration.status().pending,
        1,
        "one resync, then none while it waits"
    );
    gate.open();
    settle().await;
    assert_eq!(record.take(), ["*a@1", "a@1>1"]);
}

/// A store set to deliver updates to the same version delivers them to those who asked.
#[tokio::test(start_paused = true)]
async fn the_same_version_reaches_only_those_who_asked() {
    let mut config = InformerConfig::default();
    let mut store = StoreConfig::default();
    store.same_version = SameVersion::Deliver;
    config.store = store;
    let mut rig = Rig::with_config(&["a", "b"], config);
    rig.start();
    let (_, plain) = rig.record(HandlerConfig::default());
    let (_, asked) = rig.record(resynced(36_000));
    settle().await;
    plain.take();
    asked.take();
    rig.put_unseen("b");
    rig.relist().await;
    assert_eq!(plain.take(), ["b@2>3"]);
    assert_eq!(asked.take_sorted(), ["a@1>1", "b@2>3"]);
}
