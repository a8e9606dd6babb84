//! Starting, failing and stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kubewright_cache::testing::{Answer, FakeSource};
use kubewright_cache::{Observer, Operation, SourceError};
use kubewright_informer::{Error, HandlerConfig, InformerConfig, Phase, SharedInformer};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::rig::{Rig, Thing, settle};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Answers to client-go's `TestStateSharedInformer` and `TestAddOnStoppedSharedInformer`.
#[tokio::test(start_paused = true)]
async fn an_informer_runs_once() {
    let mut rig = Rig::new(&["a"]);
    assert_eq!(rig.informer.status().phase, Phase::Ready);
    rig.start();
    rig.informer.synced().await.unwrap();
    assert_eq!(rig.informer.status().phase, Phase::Running);
    let again = rig.informer.run(CancellationToken::new()).await;
    assert!(matches!(again, Err(Error::AlreadyStarted { .. })));
    rig.stop().await;

    assert_eq!(rig.informer.status().phase, Phase::Stopped);
    let again = rig
        .informer
        .run(CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(again.to_string(), "things has stopped");
    let late = rig.informer.add_handler(
        |_: kubewright_informer::Event<Thing>| {},
        HandlerConfig::default(),
    );
    assert!(matches!(late, Err(Error::Stopped { .. })));
    assert_eq!(rig.informer.store().len(), 1, "the store stays readable");
    rig.informer.synced().await.unwrap();
}

/// Answers to client-go's `TestRemoveOnStoppedSharedInformer`.
#[tokio::test(start_paused = true)]
async fn handlers_of_a_stopped_informer_are_gone() {
    let mut rig = Rig::started(&["a", "b"]).await;
    let (handled, _) = rig.record(HandlerConfig::default());
    let (stuck, record, gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    rig.token.cancel();
    settle().await;
    gate.open();
    rig.stop().await;
    assert_eq!(
        record.take(),
        ["*a@1"],
        "the event in hand is finished, b is dropped"
    );
    handled.synced().await.unwrap();
    assert!(matches!(
        stuck.synced().await,
        Err(Error::HandlerGone { .. })
    ));
    stuck.remove().await;
    assert_eq!(
        rig.informer.status().handlers.len(),
        2,
        "what they came to can still be read"
    );
}

#[tokio::test(start_paused = true)]
async fn waiters_learn_that_the_informer_stopped() {
    let mut rig = Rig::new(&["a"]);
    rig.source.answer_list(Answer::Hang);
    let (registration, _) = rig.record(HandlerConfig::default());
    rig.start();
    settle().await;
    let (informer, handler, ()) =
        tokio::join!(rig.informer.synced(), registration.synced(), async {
            rig.token.cancel();
        });
    assert!(matches!(informer, Err(Error::Stopped { .. })));
    assert!(matches!(handler, Err(Error::HandlerGone { .. })));
    rig.stop().await;
}

/// A token that is cancelled before the start is a stop like any other.
#[tokio::test(start_paused = true)]
async fn a_cancelled_token_stops_at_once() {
    let mut rig = Rig::new(&["a"]);
    rig.record(HandlerConfig::default());
    rig.token.cancel();
    rig.start();
    rig.stop().await;
    assert_eq!(rig.informer.status().phase, Phase::Stopped);
}

/// Answers to client-go's `TestShutdown`: whatever the phase, no task outlives `run`.
#[tokio::test(start_paused = true)]
async fn no_task_outlives_the_informer() {
    type Prepare = fn(&FakeSource);
    let phases: [(&str, Prepare); 5] = [
        ("list hangs", |source| source.answer_list(Answer::Hang)),
        ("list fails", |source| {
            for _ in 0..100 {
                let message = "down".into();
                source.answer_list(Answer::Fail(SourceError::Internal { message }));
            }
        }),
        ("watch hangs", |source| source.answer_watch(Answer::Hang)),
        ("watch fails", |source| {
            for _ in 0..100 {
                let refused = SourceError::TooManyRequests {
                    retry_after: None,
                    message: "busy".into(),
                };
                source.answer_watch(Answer::Fail(refused));
            }
        }),
        ("watching", |_| {}),
    ];
    for (phase, prepare) in phases {
        for wait in [0, 1, 1_000, 30_000] {
            let before = tasks();
            let mut rig = Rig::new(&["a", "b"]);
            prepare(&rig.source);
            let (_, _) = rig.record(HandlerConfig::default());
            let (_, _, gate) = rig.record_gated(HandlerConfig::default());
            gate.let_through(1);
            rig.start();
            tokio::time::sleep(Duration::from_millis(wait)).await;
            rig.token.cancel();
            settle().await;
            gate.open();
            rig.stop().await;
            assert_eq!(tasks(), before, "{phase}, stopped after {wait} ms");
            assert_eq!(
                rig.source.open_watches(),
                0,
                "{phase}, stopped after {wait} ms"
            );
        }
    }
}

/// Dropping `run` stops everything, also a handler that would never finish.
#[tokio::test(start_paused = true)]
async fn dropping_run_stops_the_informer() {
    let before = tasks();
    let mut rig = Rig::started(&["a", "b"]).await;
    let (stuck, record, _gate) = rig.record_gated(HandlerConfig::default());
    settle().await;
    rig.kill().await;
    settle().await;
    assert_eq!(tasks(), before);
    assert_eq!(rig.source.open_watches(), 0);
    assert_eq!(rig.informer.status().phase, Phase::Stopped);
    assert!(matches!(
        stuck.synced().await,
        Err(Error::HandlerGone { .. })
    ));
    stuck.remove().await;
    assert_eq!(record.len(), 0);
}

/// Dropping a handle, or all of them, does not stop an informer that runs.
#[tokio::test(start_paused = true)]
async fn an_informer_runs_on_without_handles() {
    let source = FakeSource::new();
    let informer =
        SharedInformer::<Thing>::new("things", source.clone(), InformerConfig::default()).unwrap();
    let record = crate::rig::Record::default();
    informer
        .add_handler(record.handler(), HandlerConfig::default())
        .unwrap();
    let token = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let run = token.clone();
    tasks.spawn(async move { informer.run(run).await });
    settle().await;
    source.apply(crate::rig::thing("a"));
    settle().await;
    assert_eq!(record.take(), ["+a@1"]);
    token.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

/// Answers to client-go's `TestSharedInformerErrorHandling`: a failing source is told of, and
/// forgotten once it is heard of again.
#[tokio::test(start_paused = true)]
async fn the_last_failure_of_the_source_is_known() {
    #[derive(Default)]
    struct Failures(AtomicUsize);
    impl Observer for Failures {
        fn source_failed(&self, _: Operation, _: &SourceError) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let failures = Arc::new(Failures::default());
    let mut config = InformerConfig::default();
    config.reflector.observer = Arc::clone(&failures) as _;
    let mut rig = Rig::with_config(&["a"], config);
    for _ in 0..2 {
        let message = "things is forbidden".into();
        rig.source
            .answer_list(Answer::Fail(SourceError::Forbidden { message }));
    }
    rig.start();
    settle().await;
    let failure = rig.informer.status().failure.unwrap();
    assert_eq!(failure.operation, Operation::List);
    assert_eq!(failure.to_string(), "not allowed: things is forbidden");
    assert!(failure.fatal);
    rig.informer.synced().await.unwrap();
    assert_eq!(rig.informer.status().failure, None);
    assert_eq!(
        failures.0.load(Ordering::SeqCst),
        2,
        "the user's own observer is told too"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "source is broken")]
async fn a_panic_of_the_source_is_passed_on() {
    struct Broken;
    impl kubewright_cache::ListerWatcher for Broken {
        type Watch = kubewright_cache::testing::FakeWatch;
        async fn list(
            &self,
            _: &kubewright_cache::ListOptions,
            _: &mut dyn kubewright_cache::PageSink,
        ) -> Result<kubewright_cache::Page, SourceError> {
            panic!("source is broken")
        }
        async fn watch(
            &self,
            _: &kubewright_cache::WatchOptions,
        ) -> Result<Self::Watch, SourceError> {
            panic!("source is broken")
        }
    }
    let informer =
        SharedInformer::<Thing>::new("broken", Broken, InformerConfig::default()).unwrap();
    let _ = informer.run(CancellationToken::new()).await;
}

#[tokio::test]
async fn an_invalid_configuration_is_refused() {
    let mut config = InformerConfig::default();
    config.reflector.response_timeout = Duration::ZERO;
    let refused = SharedInformer::<Thing>::new("things", FakeSource::new(), config).unwrap_err();
    assert!(matches!(refused, Error::InvalidConfig(_)));
}
