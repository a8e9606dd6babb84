//! Handlers that panic.

use std::sync::Arc;
use std::time::Duration;

use kubewright_informer::{Event, HandlerConfig, InformerConfig, InformerMetrics, async_handler};

use crate::rig::{Record, Rig, Thing, lossless, settle};

fn panics_on(name: &'static str, event: &Event<Thing>) {
    assert!(event.key().name() != name, "handler cannot bear {name}");
}

/// Answers to client-go's `TestEventPanics`, and does better: there an initial addition whose
/// handling panicked keeps the handler from ever being in sync.
#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_event() {
    let mut rig = Rig::new(&["a", "b", "c"]);
    let record = Record::default();
    let lines = record.clone();
    let handler = move |event: Event<Thing>| {
        panics_on("b", &event);
        lines.note(&event);
    };
    let registration = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    let (sibling, told_sibling) = rig.record(HandlerConfig::default());
    rig.start();
    registration.synced().await.unwrap();
    sibling.synced().await.unwrap();
    rig.put("b");
    rig.put("c");
    settle().await;
    assert_eq!(record.take(), ["*a@1", "*c@3", "c@3>5"]);
    assert_eq!(told_sibling.take().len(), 5);
    let status = registration.status();
    assert_eq!((status.handled, status.panicked), (5, 2));
    rig.stop().await;
}

/// A panic after an `await` is no different.
#[tokio::test(start_paused = true)]
async fn an_asynchronous_panic_costs_one_event() {
    let mut rig = Rig::new(&["a", "b"]);
    let record = Record::default();
    let lines = record.clone();
    let handler = async_handler(move |event: Event<Thing>| {
        let lines = lines.clone();
        async move {
            tokio::task::yield_now().await;
            panics_on("a", &event);
            lines.note(&event);
        }
    });
    let registration = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    rig.start();
    registration.synced().await.unwrap();
    assert_eq!(record.take(), ["*b@2"]);
}

/// Even a handler that panics while it is dropped leaves its informer whole.
#[tokio::test(start_paused = true)]
async fn a_panic_when_dropped_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("handler dropped badly");
        }
    }
    let mut rig = Rig::started(&["a"]).await;
    let (_, sibling) = rig.record(HandlerConfig::default());
    let bomb = Bomb;
    let registration = rig
        .informer
        .add_handler(
            move |_: Event<Thing>| {
                let _ = &bomb;
            },
            HandlerConfig::default(),
        )
        .unwrap();
    settle().await;
    registration.remove().await;
    rig.put("a");
    settle().await;
    assert_eq!(sibling.take(), ["*a@1", "a@1>2"]);
    rig.stop().await;
}

/// Metrics that panic take the handler they are told of along, and nobody else: not even a mailbox
/// that nobody will empty holds the informer up.
#[tokio::test(start_paused = true)]
async fn metrics_that_panic_cost_one_handler() {
    struct Picky;
    impl InformerMetrics for Picky {
        fn handled(&self, handler: &str, _: Duration, _: Duration) {
            assert_ne!(handler, "lossless", "metrics cannot bear it");
        }
    }
    let mut config = InformerConfig::default();
    config.metrics = Some(Arc::new(Picky));
    let mut rig = Rig::with_config(&["a", "b"], config);
    rig.start();
    let (doomed, _) = rig.record(lossless(1));
    let (_, sibling) = rig.record(HandlerConfig::default());
    assert!(doomed.synced().await.is_err());
    for _ in 0..3 {
        rig.put("a");
        settle().await;
    }
    assert_eq!(sibling.take(), ["*a@1", "*b@2", "a@1>3", "a@3>4", "a@4>5"]);
    assert_eq!(doomed.status().pending, 0);
    doomed.remove().await;
    rig.stop().await;
}
