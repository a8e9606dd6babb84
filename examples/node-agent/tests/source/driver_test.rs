//! All sources together, under paused time.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubewright_clock::Clock;
use node_agent::pod::{CONFIG_SEEN, PodSource};
use node_agent::source::{Operation, PodSets, PodUpdate, SetSource, Sources};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::pods::{names, valid_pod};

/// Delivers these sets, one a second.
struct Script<const API: bool>(Vec<Vec<Pod>>);

impl<const API: bool> SetSource for Script<API> {
    const SOURCE: PodSource = if API { PodSource::Api } else { PodSource::File };

    async fn run(self, sets: PodSets, token: CancellationToken) {
        for set in self.0 {
            if sets
                .send(set.into_iter().map(Arc::new).collect())
                .await
                .is_err()
            {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        token.cancelled().await;
    }
}

/// Notes when it is dropped.
struct Stubborn(Arc<Mutex<bool>>);

impl SetSource for Stubborn {
    const SOURCE: PodSource = PodSource::Http;

    async fn run(self, _sets: PodSets, token: CancellationToken) {
        token.cancelled().await;
        sleep(Duration::from_secs(5)).await;
        *self.0.lock() = true;
    }
}

#[tokio::test(start_paused = true)]
async fn updates_arrive_in_order_and_sources_come_to_be_ready() {
    let clock = Clock::starting_at("2026-03-01T12:00:00Z".parse().unwrap());
    let duplicates: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&duplicates);
    let ended = Arc::default();
    let mut twin = valid_pod("b", "ns");
    twin.metadata.uid = Some("twin".into());
    let sources = Sources::new(clock)
        .with(Script::<false>(vec![
            vec![valid_pod("a", "ns")],
            vec![valid_pod("b", "ns"), twin],
        ]))
        .with(Stubborn(Arc::clone(&ended)))
        .on_duplicate(move |duplicate| told.lock().push(duplicate.to_string()));
    let ready = sources.ready();
    let (updates, mut changes) = mpsc::channel::<PodUpdate>(1);
    let token = CancellationToken::new();
    let check = async {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let update = changes.recv().await.unwrap();
            assert!(!ready.all());
            ready.mark(update.source);
            if seen.is_empty() {
                let annotations = update.pods[0].metadata.annotations.clone().unwrap();
                assert_eq!(annotations[CONFIG_SEEN], "2026-03-01T12:00:00.000000000Z");
            }
            seen.push((update.operation, names(&update.pods)));
        }
        let names = |name: &str| vec![name.to_owned()];
        assert_eq!(
            seen,
            [
                (Operation::Add, names("a")),
                (Operation::Remove, names("a")),
                (Operation::Add, names("b")),
            ]
        );
        assert!(!ready.all());
        ready.mark(PodSource::Http);
        assert!(ready.all());
        token.cancel();
    };
    tokio::join!(sources.run(updates, token.clone()), check);
    assert_eq!(duplicates.lock().len(), 1);
    assert!(*ended.lock(), "nothing outlives its owner");
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_delays_sources_and_misses_nothing() {
    let sets = (0..50)
        .map(|n| vec![valid_pod(&format!("p{n}"), "ns")])
        .collect();
    let sources = Sources::new(Clock::system()).with(Script::<true>(sets));
    let (updates, mut changes) = mpsc::channel::<PodUpdate>(1);
    let token = CancellationToken::new();
    let check = async {
        let mut added = 0;
        while added < 50 {
            sleep(Duration::from_secs(10)).await;
            let update = changes.recv().await.unwrap();
            added += usize::from(update.operation == Operation::Add);
        }
        token.cancel();
    };
    tokio::join!(sources.run(updates, token.clone()), check);
}

#[tokio::test(start_paused = true)]
async fn sources_end_when_nobody_receives() {
    let ended = Arc::default();
    let sources = Sources::new(Clock::system()).with(Stubborn(Arc::clone(&ended)));
    let (updates, changes) = mpsc::channel(1);
    drop(changes);
    sources.run(updates, CancellationToken::new()).await;
    assert!(*ended.lock());
}

#[tokio::test(start_paused = true)]
async fn no_sources_are_ready_and_run_all_the_same() {
    let sources = Sources::new(Clock::system());
    assert!(sources.ready().all());
    let (updates, mut changes) = mpsc::channel::<PodUpdate>(1);
    let token = CancellationToken::new();
    let check = async {
        let waited = tokio::time::timeout(Duration::from_secs(600), changes.recv()).await;
        assert!(waited.is_err(), "the channel stays open");
        token.cancel();
    };
    tokio::join!(sources.run(updates, token.clone()), check);
}

struct Panicking;

impl SetSource for Panicking {
    const SOURCE: PodSource = PodSource::Http;

    #[expect(clippy::manual_async_fn, reason = "it never returns")]
    fn run(self, _: PodSets, _: CancellationToken) -> impl Future<Output = ()> + Send {
        async { panic!("the source is broken") }
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the source is broken")]
async fn a_panic_of_a_source_is_not_lost() {
    let (updates, _changes) = mpsc::channel(1);
    let sources = Sources::new(Clock::system()).with(Panicking);
    sources.run(updates, CancellationToken::new()).await;
}
