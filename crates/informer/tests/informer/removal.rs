//! Taking handlers out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use kubewright_informer::{Event, EventHandler, HandlerConfig, Registration, async_handler};

use crate::rig::{Rig, Thing, settle};

/// Says when it is dropped.
#[derive(Default)]
struct DropFlag(Arc<AtomicBool>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Answers to client-go's `TestRemoveEventHandler_Synchronous...` and
/// `ShutDownEventHandler_Lifecycles`: removal waits for the event in the handler's hands, drops
/// the rest, and leaves nothing of the handler.
#[tokio::test(start_paused = true)]
async fn removal_waits_until_the_handler_is_idle() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let (registration, record, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    assert_eq!(gate.entered(), 1);
    let removal = registration.remove();
    let mut removal = std::pin::pin!(removal);
    settle().await;
    assert!(
        futures::poll!(removal.as_mut()).is_pending(),
        "a is being handled"
    );
    gate.open();
    removal.await;
    assert_eq!(record.take(), ["*a@1"], "b and c are dropped");
    let status = registration.status();
    assert_eq!((status.dropped, status.pending, status.handled), (2, 0, 1));
    rig.put("d");
    settle().await;
    assert_eq!((record.len(), gate.entered()), (0, 1));
}

/// Answers to client-go's `TestRemoveEventHandler_Asynchronous...`: it takes effect at the call.
#[tokio::test(start_paused = true)]
async fn removal_takes_effect_without_being_awaited() {
    let rig = Rig::started(&["a", "b"]).await;
    let (registration, record, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    drop(registration.remove());
    gate.open();
    settle().await;
    assert_eq!(record.take(), ["*a@1"]);
    assert!(rig.informer.status().handlers.is_empty());
}

/// Answers to client-go's `TestSharedInformerRemoveHandler`: idempotent, and siblings stay.
#[tokio::test(start_paused = true)]
async fn removal_is_idempotent_and_spares_siblings() {
    let mut rig = Rig::started(&["a"]).await;
    let (first, one) = rig.record(HandlerConfig::default());
    let (second, two) = rig.record(HandlerConfig::default());
    settle().await;
    first.remove().await;
    first.remove().await;
    first.clone().remove().await;
    rig.put("a");
    settle().await;
    assert_eq!(one.take(), ["*a@1"]);
    assert_eq!(two.take(), ["*a@1", "a@1>2"]);
    rig.stop().await;
    first.remove().await;
    second.remove().await;
}

/// Answers to client-go's `TestSharedInformerRemoveForeignHandler`: a registration knows its
/// informer, so there is no foreign one to refuse.
#[tokio::test(start_paused = true)]
async fn a_registration_removes_from_its_own_informer() {
    let here = Rig::started(&["a"]).await;
    let elsewhere = Rig::started(&["a"]).await;
    let (_, stays) = here.record(HandlerConfig::default());
    let (foreign, goes) = elsewhere.record(HandlerConfig::default());
    settle().await;
    foreign.remove().await;
    here.put("a");
    elsewhere.put("a");
    settle().await;
    assert_eq!(stays.take(), ["*a@1", "a@1>2"]);
    assert_eq!(goes.take(), ["*a@1"]);
}

/// Answers to client-go's `TestRemoveWhileActive`.
#[tokio::test(start_paused = true)]
async fn removal_while_events_arrive() {
    let rig = Rig::started(&[]).await;
    let (registration, record) = rig.record(HandlerConfig::default());
    rig.put("a");
    settle().await;
    assert!(registration.has_synced());
    registration.remove().await;
    rig.put("b");
    settle().await;
    assert_eq!(record.take(), ["+a@1"]);
    assert!(registration.has_synced(), "it was, and stays so");
}

#[tokio::test(start_paused = true)]
async fn removal_before_the_start_drops_the_handler() {
    let mut rig = Rig::new(&["a"]);
    let flag = DropFlag::default();
    let dropped = Arc::clone(&flag.0);
    let handler = move |_: Event<Thing>| drop(Arc::clone(&flag.0));
    let registration = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    registration.remove().await;
    assert!(dropped.load(Ordering::SeqCst));
    let error = registration.synced().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the handler handler-1 is gone and was never in sync"
    );
    rig.start();
    rig.informer.synced().await.unwrap();
}

/// When removal is done the handler's own values are dropped, not only its events.
#[tokio::test(start_paused = true)]
async fn removal_is_done_when_the_handler_is_dropped() {
    let rig = Rig::started(&["a"]).await;
    let flag = DropFlag::default();
    let dropped = Arc::clone(&flag.0);
    let handler = move |_: Event<Thing>| drop(Arc::clone(&flag.0));
    let registration = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    registration.synced().await.unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    registration.remove().await;
    assert!(dropped.load(Ordering::SeqCst));
}

/// The order matters to a handler that is dropped on another thread.
#[tokio::test(start_paused = true)]
async fn the_handler_is_dropped_before_its_removal_is_done() {
    struct Witness {
        own: Arc<OnceLock<Registration>>,
        removed_early: Arc<AtomicBool>,
    }
    impl EventHandler<Thing> for Witness {
        async fn handle(&mut self, _: Event<Thing>) {}
    }
    impl Drop for Witness {
        fn drop(&mut self) {
            let removed = self.own.get().unwrap().remove().now_or_never().is_some();
            self.removed_early.store(removed, Ordering::SeqCst);
        }
    }
    let rig = Rig::started(&["a"]).await;
    let (own, removed_early) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let witness = Witness {
        own: Arc::clone(&own),
        removed_early: Arc::clone(&removed_early),
    };
    let registration = rig
        .informer
        .add_handler(witness, HandlerConfig::default())
        .unwrap();
    own.set(registration.clone()).unwrap();
    registration.synced().await.unwrap();
    registration.remove().await;
    assert!(!removed_early.load(Ordering::SeqCst));
}

/// In client-go, `ShutDownEventHandler` from inside the handler waits for itself for ever.
#[tokio::test(start_paused = true)]
async fn a_handler_removes_itself() {
    let rig = Rig::started(&["a", "b", "c"]).await;
    let own = Arc::new(OnceLock::<Registration>::new());
    let record = crate::rig::Record::default();
    let (mine, lines) = (Arc::clone(&own), record.clone());
    let handler = async_handler(move |event: Event<Thing>| {
        let (own, lines) = (Arc::clone(&mine), lines.clone());
        async move {
            if event.key().name() == "b" {
                own.get().unwrap().remove().await;
            }
            lines.note(&event);
        }
    });
    let registration = rig
        .informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();
    own.set(registration.clone()).unwrap();
    settle().await;
    assert_eq!(
        record.take(),
        ["*a@1", "*b@2"],
        "b is handled to its end, c is not handed over"
    );
    registration.remove().await;
}

/// From another handler's task, removal waits as from anywhere.
#[tokio::test(start_paused = true)]
async fn a_handler_removes_its_sibling() {
    struct Remover(Registration);
    impl EventHandler<Thing> for Remover {
        async fn handle(&mut self, _: Event<Thing>) {
            self.0.remove().await;
        }
    }
    let rig = Rig::started(&["a"]).await;
    let (sibling, record, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    let remover = rig
        .informer
        .add_handler(Remover(sibling), HandlerConfig::default())
        .unwrap();
    settle().await;
    assert!(!remover.has_synced(), "it waits for its sibling");
    gate.open();
    remover.synced().await.unwrap();
    assert_eq!(record.take(), ["*a@1"]);
}
