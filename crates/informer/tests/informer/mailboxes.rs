//! Slow handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubewright_cache::{EncodedObject, WatchEvent};
use kubewright_informer::{Event, HandlerConfig};

use crate::rig::{Rig, Thing, lossless, settle};

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_told_the_sum_of_changes() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let (registration, record, gate) = rig.record_gated(HandlerConfig::default());
    gate.let_through(3);
    settle().await;
    record.take();

    rig.put("c");
    settle().await;
    assert_eq!(
        gate.entered(),
        4,
        "the update of c is in the handler's hands"
    );
    rig.put("b");
    rig.put("a");
    rig.put("b");
    rig.delete("a");
    rig.put("brief");
    rig.delete("brief");
    rig.put("c");
    rig.put("new");
    rig.put("new");
    settle().await;
    assert_eq!(registration.status().pending, 4);
    assert_eq!(registration.status().coalesced, 4);
    gate.open();
    settle().await;
    assert_eq!(
        record.take(),
        ["c@3>4", "b@2>7", "-a@8", "c@4>11", "+new@13"]
    );
}

/// The workload that lets client-go's ring buffer grow without end, and freezes a shared reflector
/// of kube-runtime 5.0: a million updates of a thousand objects, and a handler that does not move.
///
/// What waits for it is bounded by the objects there are.
#[tokio::test(start_paused = true)]
async fn a_million_updates_of_a_thousand_keys_leave_a_thousand_entries() {
    const KEYS: usize = 1_000;
    const ROUNDS: usize = 1_000;
    let rig = Rig::started(&[]).await;
    // Straight into the watch: a source that remembers its history would grow itself.
    let emit_round = |round: usize| {
        for key in 0..KEYS {
            let version = round * KEYS + key + 1;
            rig.source.emit(|| {
                let json = format!(
                    r#"{{"metadata":{{"name":"key-{key}","uid":"u","resourceVersion":"{version}"}}}}"#
                );
                WatchEvent::Modified(EncodedObject::from_json(json.as_bytes()).unwrap())
            });
        }
    };
    let counter = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&counter);
    let count = move |_: Event<Thing>| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    rig.informer
        .add_handler(count, HandlerConfig::default())
        .unwrap();
    let (registration, record, gate) = rig.record_gated(HandlerConfig::default());
    emit_round(0);
    gate.let_through(KEYS);
    settle().await;
    assert_eq!(record.take().len(), KEYS);
    for round in 1..=ROUNDS {
        emit_round(round);
        settle().await;
        assert!(registration.status().pending <= KEYS);
    }
    assert_eq!(counter.load(Ordering::Relaxed), KEYS + KEYS * ROUNDS);
    let status = registration.status();
    assert_eq!(status.pending, KEYS);
    // The first event after the pause went into the handler's hands.
    let joined = KEYS * ROUNDS - KEYS - 1;
    assert_eq!(status.coalesced, joined as u64);
    gate.open();
    settle().await;
    let told = record.take();
    assert_eq!(told.len(), KEYS + 1);
    assert!(
        told.contains(&"key-999@1000>1001000".to_owned()),
        "from the first old to the last new"
    );
}

/// The price of losing nothing: the informer waits for the handler. Siblings are told what the
/// store shows.
#[tokio::test(start_paused = true)]
async fn a_full_lossless_mailbox_holds_the_informer_up() {
    let rig = Rig::started(&[]).await;
    let (_, sibling) = rig.record(HandlerConfig::default());
    let (registration, record, gate) = rig.record_gated(lossless(2));
    settle().await;
    for name in ["a", "b", "c", "d", "e"] {
        rig.put(name);
        settle().await;
    }
    // a is in the handler's hands, b and c fill the mailbox.
    assert_eq!(registration.status().pending, 2);
    assert_eq!(rig.informer.store().len(), 3);
    assert_eq!(sibling.take(), ["+a@1", "+b@2", "+c@3"]);
    gate.let_through(1);
    settle().await;
    assert_eq!(
        sibling.take(),
        ["+d@4", "+e@5"],
        "room for one is room for a batch"
    );
    assert_eq!(registration.status().pending, 3);
    gate.open();
    settle().await;
    assert_eq!(record.take(), ["+a@1", "+b@2", "+c@3", "+d@4", "+e@5"]);
}

/// The initial list and the replay are not held against a handler.
#[tokio::test(start_paused = true)]
async fn initial_additions_do_not_fill_a_lossless_mailbox() {
    let mut rig = Rig::new(&["a", "b", "c", "d"]);
    let (_, early, early_gate) = rig.record_gated(lossless(1));
    rig.start();
    rig.informer.synced().await.unwrap();
    let (_, late, late_gate) = rig.record_gated(lossless(1));
    settle().await;
    rig.put("e");
    settle().await;
    assert_eq!(rig.informer.store().len(), 5, "the informer goes on");
    early_gate.open();
    late_gate.open();
    settle().await;
    let all = ["*a@1", "*b@2", "*c@3", "*d@4", "+e@5"];
    assert_eq!(early.take(), all);
    assert_eq!(late.take(), all);
}

#[tokio::test(start_paused = true)]
async fn removing_a_full_handler_sets_the_informer_free() {
    let rig = Rig::started(&[]).await;
    let (registration, _, gate) = rig.record_gated(lossless(1));
    settle().await;
    for name in ["a", "b", "c"] {
        rig.put(name);
        settle().await;
    }
    assert_eq!(rig.informer.store().len(), 2);
    let removal = registration.remove();
    settle().await;
    assert_eq!(rig.informer.store().len(), 3);
    gate.open();
    removal.await;
}

#[tokio::test(start_paused = true)]
async fn a_held_up_informer_stops() {
    let mut rig = Rig::started(&[]).await;
    let (_, record, gate) = rig.record_gated(lossless(1));
    settle().await;
    for name in ["a", "b", "c"] {
        rig.put(name);
        settle().await;
    }
    rig.token.cancel();
    settle().await;
    gate.open();
    rig.stop().await;
    assert_eq!(record.take(), ["+a@1"]);
}

#[tokio::test(start_paused = true)]
async fn handlers_are_admitted_while_the_informer_is_held_up() {
    let rig = Rig::started(&[]).await;
    let (_, _, gate) = rig.record_gated(lossless(1));
    settle().await;
    for name in ["a", "b", "c"] {
        rig.put(name);
        settle().await;
    }
    let (late, told) = rig.record(HandlerConfig::default());
    late.synced().await.unwrap();
    assert_eq!(told.take(), ["*a@1", "*b@2"]);
    gate.open();
    settle().await;
    assert_eq!(told.take(), ["+c@3"]);
}
