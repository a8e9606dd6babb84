//! What an informer tells of itself.

use std::sync::Arc;
use std::time::Duration;

use kubewright_informer::{HandlerConfig, InformerConfig, InformerMetrics};
use parking_lot::Mutex;

use crate::rig::{Rig, lossless, settle};

/// Writes everything down.
#[derive(Default)]
struct Journal(Mutex<Vec<String>>);

impl Journal {
    fn note(&self, line: String) {
        self.0.lock().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl InformerMetrics for Journal {
    fn events(&self, events: u64) {
        self.note(format!("events {events}"));
    }
    fn coalesced(&self, handler: &str, events: u64) {
        self.note(format!("{handler} coalesced {events}"));
    }
    fn dropped(&self, handler: &str, entries: u64) {
        self.note(format!("{handler} dropped {entries}"));
    }
    fn handled(&self, handler: &str, waited: Duration, took: Duration) {
        let (waited, took) = (waited.as_secs(), took.as_secs());
        self.note(format!("{handler} handled after {waited} in {took}"));
    }
    fn panicked(&self, handler: &str) {
        self.note(format!("{handler} panicked"));
    }
    fn stalled(&self, handler: &str, stalled: Duration) {
        self.note(format!("{handler} stalled {}", stalled.as_secs()));
    }
    fn store_size(&self, objects: usize) {
        self.note(format!("store {objects}"));
    }
    fn pending(&self, handler: &str, entries: usize) {
        self.note(format!("{handler} pending {entries}"));
    }
    fn last_event_age(&self, age: Duration) {
        self.note(format!("age {}", age.as_secs()));
    }
}

async fn rig(names: &[&str]) -> (Rig, Arc<Journal>) {
    let journal = Arc::new(Journal::default());
    let mut config = InformerConfig::default();
    config.metrics = Some(Arc::clone(&journal) as _);
    let mut rig = Rig::with_config(names, config);
    rig.start();
    rig.informer.synced().await.unwrap();
    (rig, journal)
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn events_waits_and_losses_are_told() {
    let (rig, journal) = rig(&["a"]).await;
    assert_eq!(journal.take(), ["events 1"]);
    let (registration, _, gate) = rig.record_gated(HandlerConfig::named("slow"));
    settle().await;
    rig.put("b");
    settle().await;
    rig.put("b");
    seconds(4).await;
    gate.let_through(1);
    settle().await;
    assert_eq!(
        journal.take(),
        [
            "events 1",
            "events 1",
            "slow coalesced 1",
            "slow handled after 0 in 4"
        ]
    );
    seconds(5).await;
    gate.let_through(1);
    settle().await;
    assert_eq!(journal.take(), ["slow handled after 4 in 5"]);
    rig.put("a");
    rig.put("b");
    settle().await;
    let removal = registration.remove();
    assert_eq!(journal.take().last().unwrap(), "slow dropped 1");
    gate.open();
    removal.await;
}

#[tokio::test(start_paused = true)]
async fn panics_and_stalls_are_told() {
    let (rig, journal) = rig(&["a"]).await;
    rig.informer
        .add_handler(
            |_: kubewright_informer::Event<crate::rig::Thing>| panic!("on purpose"),
            HandlerConfig::named("bad"),
        )
        .unwrap();
    settle().await;
    assert_eq!(
        journal.take(),
        ["events 1", "bad panicked", "bad handled after 0 in 0"]
    );
    let (_, _, gate) = rig.record_gated(lossless(1));
    gate.let_through(1);
    settle().await;
    for name in ["b", "c"] {
        rig.put(name);
        settle().await;
    }
    seconds(7).await;
    journal.take();
    gate.let_through(1);
    settle().await;
    assert!(journal.take().contains(&"lossless stalled 7".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn gauges_are_told_on_request() {
    let (rig, journal) = rig(&["a", "b"]).await;
    let (_, _, _gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    journal.take();
    seconds(30).await;
    rig.informer.report();
    assert_eq!(journal.take(), ["store 2", "handler-1 pending 1", "age 30"]);
    rig.source.bookmark();
    settle().await;
    seconds(3).await;
    let status = rig.informer.status();
    assert_eq!(status.last_event_age.unwrap().as_secs(), 3);
    assert_eq!((status.objects, status.has_synced), (2, true));
}
