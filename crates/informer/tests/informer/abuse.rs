//! Everything at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kubewright_informer::{Error, Event, HandlerConfig, InformerConfig, ObjectKey};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::rig::{Rig, Thing, lossless};

/// How long it may take to get to the next place, among a hundred tasks and on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// What a handler believes to be there, checked with every event.
#[derive(Clone, Default)]
struct View(Arc<Mutex<BTreeMap<ObjectKey, String>>>);

impl View {
    fn follow(&self, event: &Event<Thing>) {
        let mut view = self.0.lock();
        let version = event.object().meta().resource_version().to_string();
        match event {
            Event::Added { object, .. } => {
                let known = view.insert(object.key().clone(), version);
                assert_eq!(known, None, "{event:?} is told twice");
            }
            Event::Updated { old, new } => {
                let known = view.insert(new.key().clone(), version);
                let old = old.meta().resource_version().to_string();
                assert_eq!(known, Some(old), "{event:?} does not follow what was told");
            }
            Event::Deleted { object, .. } => {
                let known = view.remove(object.key());
                assert!(known.is_some(), "{event:?} was never there");
            }
        }
    }
}

/// Answers to client-go's `TestSharedInformerHandlerAbuse` and `TestHammerController`: a hundred
/// tasks add and remove handlers while ten thousand changes pass by, with relists in between.
/// Every handler sees a consistent life of every key, those that stay end where the store is, and
/// nothing is left when the informer stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_tasks_add_and_remove_handlers_during_ten_thousand_changes() {
    const CHANGES: usize = 10_000;
    const ROUNDS: usize = 100;
    let before = Handle::current().metrics().num_alive_tasks();
    let mut config = InformerConfig::default();
    config.reflector.backoff.initial = Duration::from_millis(1);
    // A watch from version 0 replays what is there, and would never tell of a last change that was
    // a deletion: the first list is to find more than that.
    let mut rig = Rig::with_config(&["thing-0"], config);
    rig.start();
    let rounds = Arc::new(AtomicUsize::new(0));
    let mut abusers = JoinSet::new();
    for seed in 0..100 {
        let (informer, stopping) = (rig.informer.clone(), rig.token.clone());
        let rounds = Arc::clone(&rounds);
        abusers.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            loop {
                let view = View::default();
                let config = if random.u8(..4) == 0 {
                    lossless(64)
                } else {
                    HandlerConfig::default()
                };
                let handler = move |event: Event<Thing>| view.follow(&event);
                let registration = match informer.add_handler(handler, config) {
                    Ok(registration) => registration,
                    Err(Error::Stopped { .. }) => return,
                    Err(error) => panic!("{error}"),
                };
                match random.u8(..4) {
                    0 => {}
                    1 => {
                        let synced = registration.synced().await;
                        assert!(synced.is_ok() || stopping.is_cancelled());
                    }
                    _ => {
                        for _ in 0..random.u8(..100) {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                let removal = registration.remove();
                if random.bool() {
                    removal.await;
                }
                assert_eq!(registration.status().panicked, 0);
                rounds.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    let views = [View::default(), View::default()];
    let configs = [HandlerConfig::default(), lossless(8)];
    let mut stays = Vec::new();
    for (view, config) in views.iter().zip(configs) {
        let view = view.clone();
        let handler = move |event: Event<Thing>| view.follow(&event);
        stays.push(rig.informer.add_handler(handler, config).unwrap());
    }
    let mut random = fastrand::Rng::with_seed(42);
    for change in 0..CHANGES {
        let name = format!("thing-{}", random.u8(..50));
        let there = rig.source.delete(&name.parse().unwrap()).is_some();
        if !there || random.u8(..3) > 0 {
            rig.put(&name);
        }
        if change % 2_500 == 0 {
            rig.source.compact();
            rig.source.end_watches();
        }
        // Let the informer catch up, so that most changes come as events and not by relists.
        if change % 250 == 249 {
            let version = rig.source.version();
            let caught_up = rig.informer.store().wait_until(&version);
            let caught_up = timeout(DEADLINE, caught_up).await;
            caught_up.expect("the informer catches up").unwrap();
        }
    }
    let expected: BTreeMap<_, _> = rig
        .informer
        .store()
        .snapshot()
        .iter()
        .map(|object| {
            let version = object.meta().resource_version().to_string();
            (object.key().clone(), version)
        })
        .collect();
    for (registration, view) in stays.iter().zip(&views) {
        // The store shows a change before the handlers are told.
        let told = async {
            while *view.0.lock() != expected {
                tokio::task::yield_now().await;
            }
        };
        let told = timeout(DEADLINE, told).await;
        assert!(told.is_ok(), "a handler never gets to where the store is");
        registration.remove().await;
        assert_eq!(registration.status().panicked, 0);
    }
    let abused = async {
        while rounds.load(Ordering::Relaxed) < ROUNDS {
            tokio::task::yield_now().await;
        }
    };
    let abused = timeout(DEADLINE, abused).await;
    assert!(abused.is_ok(), "only {rounds:?} handlers came and went");
    // Stopped in the middle of it.
    rig.stop().await;
    while let Some(ended) = abusers.join_next().await {
        ended.unwrap();
    }
    // The runtime strikes a task off its list just after that has been joined.
    while Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}
