//! What a controller tells of itself: metrics. Its spans are in `spans.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubewright_cache::{ResourceVersion, Uid};
use kubewright_controller::{
    Controller, ControllerConfig, ControllerMetrics, OwnWrites, ReconcileResult,
};

use crate::world::{ConfigMaps, Journal, Step, World, key, ms};

/// Nothing panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics in here")
}

#[derive(Default)]
struct Counted {
    counts: Mutex<BTreeMap<String, i64>>,
    times: Mutex<Vec<Duration>>,
    most_active: Mutex<(i64, i64)>,
}

impl Counted {
    fn count(&self, name: impl Into<String>, by: i64) {
        *lock(&self.counts).entry(name.into()).or_default() += by;
    }
}

impl ControllerMetrics for Counted {
    fn reconcile_total(&self, result: ReconcileResult) {
        self.count(result.as_str(), 1);
    }
    fn reconcile_errors_total(&self) {
        self.count("errors", 1);
    }
    fn terminal_reconcile_errors_total(&self) {
        self.count("terminal", 1);
    }
    fn reconcile_panics_total(&self) {
        self.count("panics", 1);
    }
    fn reconcile_timeouts_total(&self) {
        self.count("timeouts", 1);
    }
    fn reconcile_time_seconds(&self, took: Duration) {
        lock(&self.times).push(took);
    }
    fn max_concurrent_reconciles(&self, workers: usize) {
        self.count("workers", i64::try_from(workers).expect("they are few"));
    }
    fn active_workers(&self, change: i64) {
        let mut active = lock(&self.most_active);
        active.0 += change;
        active.1 = active.1.max(active.0);
    }
    fn deferrals_total(&self, store: &str) {
        self.count(format!("deferred for {store}"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_counted() {
    let maps = ConfigMaps::new("configmaps");
    maps.source.advance_to(8);
    let own_writes = OwnWrites::new();
    let own_maps = own_writes.track("configmaps", maps.informer.store());
    own_maps.wrote(&key("late"), &Uid::default(), &ResourceVersion::from(9));
    let metrics = Arc::new(Counted::default());
    let mut config = ControllerConfig::default();
    config.concurrency = std::num::NonZeroUsize::new(2).unwrap();
    config.reconcile_timeout = Some(ms(50));
    config.own_writes = Some(own_writes);
    config.metrics = Some(metrics.clone());
    let journal = Journal::new();
    journal.script(
        "a",
        &[Step::Fail, Step::Panic, Step::Hang, Step::FailForGood],
    );
    journal.script("b", &[Step::After(1), Step::Requeue, Step::Take(20)]);
    let mut world = World::new();
    world.run_informer(&maps);
    let controller = Controller::new("test", config).for_(maps.as_source());
    for name in ["a", "b", "late"] {
        controller.enqueue().add(key(name));
    }
    world.run_controller(controller, journal.reconciler());
    world.pass(1000).await;
    let counts: Vec<_> = lock(&metrics.counts).clone().into_iter().collect();
    let expected = [
        ("deferred for configmaps", 1),
        ("error", 4),
        ("errors", 4),
        ("panics", 1),
        ("requeue", 1),
        ("requeue_after", 1),
        ("success", 1),
        ("terminal", 1),
        ("timeouts", 1),
        ("workers", 2),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
    assert_eq!(*lock(&metrics.most_active), (0, 2));
    let mut times = lock(&metrics.times).clone();
    times.sort();
    assert_eq!(times[5..], [ms(20), ms(50)]);
    world.stop().await.unwrap();
}

#[test]
fn results_have_the_names_of_controller_runtime() {
    let names = ReconcileResult::ALL.map(ReconcileResult::as_str);
    assert_eq!(names, ["success", "requeue_after", "requeue", "error"]);
}
