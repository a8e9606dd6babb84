//! Handlers that panic.

use kubewright_informer::{Event, HandlerConfig, async_handler};

use crate::rig::{Record, Rig, Thing, settle};

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
