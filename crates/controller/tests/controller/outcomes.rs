//! What follows from how a reconcile ends.

use std::num::NonZeroUsize;

use kubewright_controller::{Action, Controller, ControllerConfig, Reconciler, Request};
use kubewright_workqueue::TokenBucket;

use crate::world::{Failure, Journal, Step, World, key, ms};

/// Runs a controller without sources that is asked for some keys, for a minute.
async fn run(config: ControllerConfig, journal: &Journal, names: &[&str]) {
    let mut world = World::new();
    let controller = Controller::new("test", config);
    let enqueue = controller.enqueue();
    for name in names {
        enqueue.add(key(name));
    }
    world.run_controller(controller, journal.reconciler());
    world.pass(60_000).await;
    world.stop().await.expect("it stops");
}

/// What a key does by its script: (milliseconds, attempt) of each run.
async fn check(script: &[Step], expected: &[(u128, u32)]) {
    let journal = Journal::new();
    journal.script("web", script);
    run(ControllerConfig::default(), &journal, &["web"]).await;
    let times = journal.times();
    let runs: Vec<_> = times
        .iter()
        .map(|(_, at, attempt)| (*at, *attempt))
        .collect();
    assert_eq!(runs, expected);
}

#[tokio::test(start_paused = true)]
async fn done_is_the_end() {
    check(&[Step::Done], &[(0, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn errors_back_off() {
    let script = [Step::Fail; 5];
    check(
        &script,
        &[(0, 1), (5, 2), (15, 3), (35, 4), (75, 5), (155, 6)],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_success_forgets_the_failures() {
    let script = [Step::Fail, Step::Fail, Step::After(100), Step::Fail];
    check(&script, &[(0, 1), (5, 2), (15, 3), (115, 1), (120, 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn done_forgets_the_failures() {
    let journal = Journal::new();
    journal.script("web", &[Step::Fail, Step::Fail, Step::Done, Step::Fail]);
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default());
    let enqueue = controller.enqueue();
    enqueue.add(key("web"));
    world.run_controller(controller, journal.reconciler());
    world.pass(1000).await;
    enqueue.add(key("web"));
    world.pass(1000).await;
    let expected = [(0, 1), (5, 2), (15, 3), (1000, 1), (1005, 2)];
    let expected = expected.map(|(at, attempt)| ("web".to_owned(), at, attempt));
    assert_eq!(journal.times(), expected);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requeue_after_waits_that_long() {
    let script = [Step::After(1000), Step::After(250)];
    check(&script, &[(0, 1), (1000, 1), (1250, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn requeue_after_nothing_is_at_once() {
    check(&[Step::After(0)], &[(0, 1), (0, 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn requeue_rate_limited_backs_off_as_errors_do() {
    let script = [Step::Requeue, Step::Requeue];
    check(&script, &[(0, 1), (5, 2), (15, 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_terminal_error_is_not_tried_again() {
    let journal = Journal::new();
    journal.script("web", &[Step::Fail, Step::FailForGood, Step::Fail]);
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default());
    let enqueue = controller.enqueue();
    enqueue.add(key("web"));
    world.run_controller(controller, journal.reconciler());
    world.pass(60_000).await;
    let names = [("web".to_owned(), 0, 1), ("web".to_owned(), 5, 2)];
    assert_eq!(journal.times(), names);
    // What comes next starts afresh.
    enqueue.add(key("web"));
    world.pass(1000).await;
    assert_eq!(
        journal.times()[2..],
        [("web".to_owned(), 60_000, 1), ("web".to_owned(), 60_005, 2)]
    );
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_says_itself_what_is_terminal() {
    struct Picky(Journal);
    impl Reconciler for Picky {
        type Error = Failure;
        async fn reconcile(&self, request: Request) -> Result<Action, Failure> {
            self.0.reconciler().reconcile(request).await
        }
        fn is_terminal(error: &Failure) -> bool {
            matches!(error, Failure::Plain)
        }
    }
    let journal = Journal::new();
    journal.script("web", &[Step::Fail, Step::Done]);
    journal.script("api", &[Step::FailForGood, Step::Done]);
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default());
    controller.enqueue().add(key("web"));
    controller.enqueue().add(key("api"));
    world.run_controller(controller, Picky(journal.clone()));
    world.pass(60_000).await;
    assert_eq!(journal.names(), ["web", "api", "api"]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_key_one_attempt() {
    let journal = Journal::new();
    journal.script("web", &[Step::Panic, Step::Panic]);
    run(ControllerConfig::default(), &journal, &["web", "api"]).await;
    let expected = [("web", 0, 1), ("api", 0, 1), ("web", 5, 2), ("web", 15, 3)];
    let expected = expected.map(|(name, at, attempt)| (name.to_owned(), at, attempt));
    assert_eq!(journal.times(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_future_is_caught_too() {
    let journal = Journal::new();
    let script = journal.clone();
    let reconcile = move |request: Request| {
        let scripted = script.reconciler();
        assert!(request.attempt() > 1, "at first it panics");
        async move { scripted.reconcile(request).await }
    };
    let mut world = World::new();
    let controller = Controller::new("test", ControllerConfig::default());
    controller.enqueue().add(key("web"));
    world.run_controller(controller, reconcile);
    world.pass(1000).await;
    assert_eq!(journal.times(), [("web".to_owned(), 5, 2)]);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_a_failure() {
    let mut config = ControllerConfig::default();
    config.reconcile_timeout = Some(ms(100));
    let journal = Journal::new();
    journal.script("web", &[Step::Hang, Step::Take(99)]);
    run(config, &journal, &["web"]).await;
    let expected = [("web".to_owned(), 0, 1), ("web".to_owned(), 105, 2)];
    assert_eq!(journal.times(), expected);
    assert_eq!(journal.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_key_at_a_time_by_default() {
    let journal = Journal::new();
    for name in ["a", "b", "c"] {
        journal.script(name, &[Step::Take(10)]);
    }
    run(ControllerConfig::default(), &journal, &["a", "b", "c"]).await;
    assert_eq!(journal.most_at_once(), 1);
    let at: Vec<_> = journal.times().into_iter().map(|run| run.1).collect();
    assert_eq!(at, [0, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn keys_share_the_workers() {
    let mut config = ControllerConfig::default();
    config.concurrency = NonZeroUsize::new(2).unwrap();
    let journal = Journal::new();
    for name in ["a", "b", "c", "d"] {
        journal.script(name, &[Step::Take(10)]);
    }
    run(config, &journal, &["a", "b", "c", "d"]).await;
    assert_eq!(journal.most_at_once(), 2);
    let at: Vec<_> = journal.times().into_iter().map(|run| run.1).collect();
    assert_eq!(at, [0, 0, 10, 10]);
}

/// The journal panics if two reconciles of one key ever overlap.
#[tokio::test(start_paused = true)]
async fn what_is_asked_for_during_a_reconcile_is_one_more() {
    let mut config = ControllerConfig::default();
    config.concurrency = NonZeroUsize::new(4).unwrap();
    let journal = Journal::new();
    journal.script("web", &[Step::Take(100)]);
    let mut world = World::new();
    let controller = Controller::new("test", config);
    let enqueue = controller.enqueue();
    enqueue.add(key("web"));
    world.run_controller(controller, journal.reconciler());
    for _ in 0..10 {
        world.pass(5).await;
        enqueue.add(key("web"));
    }
    world.pass(1000).await;
    assert_eq!(
        journal.times(),
        [("web".to_owned(), 0, 1), ("web".to_owned(), 100, 1)]
    );
    world.stop().await.unwrap();
}

/// Retries of many keys wait for tokens; a fresh key does not.
#[tokio::test(start_paused = true)]
async fn fresh_keys_overtake_retries() {
    let mut config = ControllerConfig::default();
    config.queue.bucket = Some(TokenBucket::new(ms(1000), 1).unwrap());
    let journal = Journal::new();
    for name in ["a", "b", "c"] {
        journal.script(name, &[Step::Fail]);
    }
    let mut world = World::new();
    let controller = Controller::new("test", config);
    let enqueue = controller.enqueue();
    for name in ["a", "b", "c"] {
        enqueue.add(key(name));
    }
    world.run_controller(controller, journal.reconciler());
    world.pass(500).await;
    enqueue.add(key("fresh"));
    world.pass(5000).await;
    let times: Vec<_> = journal.times().into_iter().skip(3).collect();
    let expected = [
        ("a", 5, 2),
        ("fresh", 500, 1),
        ("b", 1005, 2),
        ("c", 2005, 2),
    ];
    let expected = expected.map(|(name, at, attempt)| (name.to_owned(), at, attempt));
    assert_eq!(times, expected);
    world.stop().await.unwrap();
}
