//! Watches and what follows their failures, time, and stopping.

use std::time::Duration;

use futures::stream;
use kubewright_cache::testing::{Answer, FakeSource, FakeWatch};
use kubewright_cache::{
    DeltaFifo, FifoConfig, InitialList, ListOptions, ListerWatcher, Operation, Page, PageSink,
    Reflector, ReflectorConfig, ResourceVersion, SourceError, Undecodable, WatchEvent,
    WatchOptions, scan,
};
use tokio::time::{Instant, sleep};

use crate::rig::{Rig, busy, internal, key, object, seconds, unreachable};

/// Answers to client-go's `TestReflectorListAndWatch` and `TestReflectorWatchHandler`.
#[tokio::test(start_paused = true)]
async fn changes_arrive_in_order_and_versions_follow() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!"]);
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(1)));

    source.apply(object("b"));
    source.apply(object("a"));
    source.delete(&key("b"));
    rig.settle().await;
    assert_eq!(rig.events(), ["+b@2", "~a@1>3", "-b@4"]);
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(4)));

    source.advance_to(9);
    source.bookmark();
    rig.settle().await;
    assert_eq!(rig.events(), [""; 0]);
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(9)));
    assert_eq!(rig.objects(), ["a@3"]);
    assert_eq!(rig.failures(), []);
    rig.stop().await;
}

/// Answers to client-go's `TestWatchTimeout`: each watch asks for 5 to 10 minutes, at random, and
/// is opened again where it left off when the server closes it.
#[tokio::test(start_paused = true)]
async fn watches_ask_for_random_timeouts_and_resume() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    sleep(seconds(3600)).await;
    let watches = source.watches();
    assert!((6..=12).contains(&watches.len()), "{}", watches.len());
    let mut timeouts: Vec<_> = watches.iter().map(|watch| watch.timeout.unwrap()).collect();
    assert!(
        timeouts
            .iter()
            .all(|timeout| (300..600).contains(&timeout.as_secs()))
    );
    timeouts.dedup();
    assert!(timeouts.len() > 3, "they differ");
    assert!(watches.iter().all(|watch| watch.resource_version == "1"));
    assert_eq!(source.lists().len(), 1);
    assert_eq!(rig.failures(), []);
    rig.stop().await;
}

/// The other half of client-go's `TestWatchTimeout`: a longer minimum counts, a shorter one does not.
#[tokio::test(start_paused = true)]
async fn the_least_timeout_of_a_watch_is_only_ever_raised() {
    for (least, asked) in [(1, 300..600), (1200, 1200..2400)] {
        let source = FakeSource::new();
        let rig = Rig::configured(source.clone(), |reflector, _| {
            reflector.min_watch_timeout = seconds(least);
        });
        rig.settle().await;
        let timeout = source.watches()[0].timeout.unwrap().as_secs();
        assert!(asked.contains(&timeout), "{timeout} for {least}");
        rig.stop().await;
    }
}

/// `Duration::MAX` is how one says never: no sum of times may overflow by it.
#[tokio::test(start_paused = true)]
async fn times_without_end_do_no_harm() {
    for initial_list in [InitialList::Paged, InitialList::Streaming] {
        let source = FakeSource::new();
        source.apply(object("a"));
        source.answer_list(Answer::Fail(internal()));
        source.answer_watch(Answer::Fail(unreachable()));
        let rig = Rig::configured(source.clone(), |reflector, _| {
            reflector.initial_list = initial_list;
            reflector.min_watch_timeout = Duration::MAX;
            reflector.idle_timeout = Duration::MAX;
            reflector.response_timeout = Duration::MAX;
            reflector.resync = Some(Duration::MAX);
            reflector.max_internal_error_retry = Duration::MAX;
            reflector.backoff.max = Duration::MAX;
            reflector.backoff.factor = f64::MAX;
            reflector.backoff.healthy_after = Duration::MAX;
        });
        sleep(seconds(60 * 60)).await;
        source.bookmark();
        rig.settle().await;
        assert_eq!(rig.objects(), ["a@1"]);
        source.fail_watches(internal);
        rig.settle().await;
        assert_eq!(source.open_watches(), 1);
        rig.stop().await;
    }
}

/// Answers to the cases of client-go's `TestReflectorListAndWatch` without a version: the watch then
/// begins with a replay in no order of versions, none of which is one to go on from.
#[tokio::test(start_paused = true)]
async fn a_replay_is_no_progress() {
    let source = FakeSource::new();
    source.apply(object("b"));
    source.apply(object("a"));
    let rig = Rig::configured(Unversioned(source.clone()), |_, _| {});
    sleep(seconds(2)).await;
    source.end_watches();
    rig.settle().await;
    source.apply(object("a"));
    rig.settle().await;
    source.end_watches();
    rig.settle().await;
    let versions: Vec<_> = source
        .watches()
        .iter()
        .map(|watch| watch.resource_version.to_string())
        .collect();
    assert_eq!(
        versions,
        ["", "", "3"],
        "a@2 and b@1 were a replay, a@3 was not"
    );
    assert_eq!(rig.events(), ["+a@2!", "+b@1!", "~a@2>3"]);
    rig.stop().await;
}

/// No list says which version it is of.
struct Unversioned(FakeSource);

impl ListerWatcher for Unversioned {
    type Watch = FakeWatch;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        self.0.list(options, items).await?;
        Ok(Page::default())
    }

    async fn watch(&self, options: &WatchOptions) -> Result<FakeWatch, SourceError> {
        self.0.watch(options).await
    }
}

/// Answers to client-go's `TestReflectorListAndWatchWithErrors`.
#[tokio::test(start_paused = true)]
async fn failures_are_told_and_survived() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_list(Answer::Fail(internal()));
    source.answer_watch(Answer::Fail(internal()));
    let rig = Rig::start(&source);
    sleep(seconds(10)).await;
    let told: Vec<_> = rig
        .failures()
        .into_iter()
        .map(|(operation, _)| operation)
        .collect();
    assert_eq!(told, [Operation::List, Operation::OpenWatch]);
    source.apply(object("b"));
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!", "+b@2"]);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorHandleWatchResultChanClosedBefore` and `...After`.
#[tokio::test(start_paused = true)]
async fn a_very_short_watch_relists_and_any_other_end_does_not() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.end_watches();
    sleep(seconds(5)).await;
    assert_eq!(rig.failures().len(), 1);
    assert_eq!(
        source.lists().len(),
        2,
        "it was open for less than a second, without an event"
    );

    source.end_watches();
    rig.settle().await;
    source.apply(object("a"));
    source.end_watches();
    rig.settle().await;
    assert_eq!(rig.failures(), []);
    assert_eq!(
        source.lists().len(),
        2,
        "one was open for long enough, one had an event"
    );
    assert_eq!(source.open_watches(), 1);
    rig.stop().await;
}

/// A server is not asked again and again because it sends the same after each request and hangs up:
/// a page of its own from what stands in an API server's place, a bookmark of where the watch
/// began, or a change that cannot be read and comes at no version of its own.
#[tokio::test(start_paused = true)]
async fn a_watch_without_news_is_backed_off_from() {
    let noise = || Undecodable::unreadable(scan::object(b"<html>").unwrap_err());
    let events: [fn(Undecodable) -> WatchEvent; 3] = [
        WatchEvent::Undecodable,
        |_| WatchEvent::Bookmark {
            resource_version: ResourceVersion::from(1),
            ends_initial_events: false,
        },
        |mut noise| {
            noise.resource_version = Some(ResourceVersion::from(1));
            WatchEvent::Undecodable(noise)
        },
    ];
    for event in events {
        let source = FakeSource::new();
        source.apply(object("a"));
        let brief = Brief {
            source: source.clone(),
            event: Box::new(move || event(noise())),
        };
        let rig = Rig::configured(brief, |_, _| {});
        sleep(seconds(600)).await;
        let asked = source.watches().len();
        assert!((10..30).contains(&asked), "{asked} in 10 minutes");
        rig.stop().await;
    }
}

/// Every watch is one event.
struct Brief {
    source: FakeSource,
    event: Box<dyn Fn() -> WatchEvent + Send + Sync>,
}

impl ListerWatcher for Brief {
    type Watch = stream::Iter<std::option::IntoIter<Result<WatchEvent, SourceError>>>;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        self.source.list(options, items).await
    }

    async fn watch(&self, options: &WatchOptions) -> Result<Self::Watch, SourceError> {
        self.source.watch(options).await?;
        Ok(stream::iter(Some(Ok((self.event)()))))
    }
}

/// Answers to client-go's `TestNoRelistOnTooManyRequests` and `TestBackoffOnTooManyRequests`.
#[tokio::test(start_paused = true)]
async fn a_busy_server_is_watched_again_later_without_a_list() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_watch(Answer::Fail(busy()));
    source.answer_watch(Answer::Fail(busy()));
    let rig = Rig::start(&source);
    sleep(seconds(30)).await;
    source.fail_watches(busy);
    sleep(seconds(30)).await;
    assert_eq!(source.lists().len(), 1);
    let watched: Vec<_> = source.seen().iter().skip(1).map(|seen| seen.at).collect();
    assert_eq!(watched.len(), 4);
    assert!((watched[1] - watched[0]).as_secs_f64() >= 0.8);
    assert!((watched[2] - watched[1]).as_secs_f64() >= 1.6);
    rig.stop().await;
}

/// The server says how long it wants to be left alone.
#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let source = FakeSource::new();
    source.answer_list(Answer::Fail(SourceError::TooManyRequests {
        retry_after: Some(seconds(100)),
        message: String::new(),
    }));
    let rig = Rig::start(&source);
    sleep(seconds(99)).await;
    assert_eq!(source.lists().len(), 1);
    sleep(seconds(2)).await;
    assert_eq!(source.lists().len(), 2);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorListAndWatchInitConnBackoff`: a server that cannot be
/// reached is asked less and less often, without lists; a watch that works starts that over.
#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_asked_less_and_less_often() {
    let source = FakeSource::new();
    source.apply(object("a"));
    for _ in 0..20 {
        source.answer_watch(Answer::Fail(unreachable()));
    }
    let rig = Rig::start(&source);
    sleep(seconds(120)).await;
    let asked = source.watches().len();
    assert!((5..=9).contains(&asked), "{asked} in two minutes");
    assert_eq!(source.lists().len(), 1);
    while source.open_watches() == 0 {
        sleep(seconds(1)).await;
    }

    // It has only just opened, but it has brought something.
    source.apply(object("a"));
    rig.settle().await;
    source.answer_watch(Answer::Fail(unreachable()));
    source.end_watches();
    let before = source.watches().len();
    sleep(seconds(2)).await;
    assert_eq!(
        source.watches().len(),
        before + 2,
        "the shortest delay again"
    );
    rig.stop().await;
}

/// Answers to client-go's `TestRetryInternalError`.
#[tokio::test(start_paused = true)]
async fn internal_errors_of_a_watch_are_retried_within_their_window() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::configured(source.clone(), |reflector, _| {
        reflector.max_internal_error_retry = seconds(10);
    });
    rig.settle().await;
    source.fail_watches(internal);
    rig.settle().await;
    assert_eq!(source.open_watches(), 1, "at once");
    sleep(seconds(5)).await;
    source.fail_watches(internal);
    rig.settle().await;
    assert_eq!((source.open_watches(), source.lists().len()), (1, 1));
    sleep(seconds(6)).await;
    source.fail_watches(internal);
    sleep(seconds(5)).await;
    assert_eq!(source.lists().len(), 2, "the window is over");
    rig.stop().await;
}

/// Without a window an internal error relists, as any other.
#[tokio::test(start_paused = true)]
async fn an_internal_error_of_a_watch_relists_by_default() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.fail_watches(internal);
    sleep(seconds(5)).await;
    assert_eq!(source.lists().len(), 2);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorReplacesStoreOnUnsafeDelete`: an object that was deleted
/// though its stored form was corrupt shows as an error of the watch; the list after it brings the
/// deletion.
#[tokio::test(start_paused = true)]
async fn an_error_event_leads_to_a_list_that_removes_what_is_gone() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply(object("corrupt"));
    let rig = Rig::start(&source);
    rig.settle().await;
    rig.events();
    source.delete_unseen(&key("corrupt"));
    source.fail_watches(|| SourceError::Status {
        code: 500,
        reason: "StorageReadError".into(),
        message: "corrupt object has been deleted".into(),
    });
    sleep(seconds(5)).await;
    assert_eq!(rig.events(), ["-corrupt@2?"]);
    rig.stop().await;
}

/// A watch whose connection is dead without anybody saying so is opened again: when it outlives
/// its timeout, or sooner where bookmarks used to come.
#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_taken_for_dead() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.stall();
    let rig = Rig::start(&source);
    rig.settle().await;
    sleep(seconds(299)).await;
    assert_eq!(source.watches().len(), 1);
    sleep(seconds(301 + 62)).await;
    assert_eq!(source.watches().len(), 2, "within its timeout and 60 s");
    assert_eq!(source.open_watches(), 1, "the dead one is dropped");

    source.bookmark();
    sleep(seconds(179)).await;
    assert_eq!(source.watches().len(), 2);
    sleep(seconds(3)).await;
    assert_eq!(
        source.watches().len(),
        3,
        "three minutes after the last bookmark"
    );
    assert_eq!(source.lists().len(), 1);
    let told = rig.failures();
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[1],
        (Operation::Watch, "nothing arrived for 180 s".into())
    );
    rig.stop().await;
}

/// A list or an attempt to watch that is never answered is given up.
#[tokio::test(start_paused = true)]
async fn unanswered_requests_are_given_up() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_list(Answer::Hang);
    source.answer_watch(Answer::Hang);
    let rig = Rig::start(&source);
    sleep(seconds(59)).await;
    assert_eq!(source.lists().len(), 1);
    sleep(seconds(3)).await;
    assert_eq!(source.lists().len(), 2);
    sleep(seconds(62)).await;
    assert_eq!(source.watches().len(), 2);
    assert_eq!(source.lists().len(), 2);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorResync`, as far as it concerns the period.
#[tokio::test(start_paused = true)]
async fn a_resync_shows_every_object_again() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply(object("b"));
    let rig = Rig::configured(source.clone(), |reflector, _| {
        reflector.resync = Some(seconds(30));
    });
    rig.settle().await;
    rig.events();
    sleep(seconds(29)).await;
    assert_eq!(rig.events(), [""; 0]);
    sleep(seconds(1)).await;
    assert_eq!(rig.events(), ["~a@1>1", "~b@2>2"]);
    sleep(seconds(30)).await;
    assert_eq!(rig.events().len(), 2);
    assert_eq!(source.lists().len(), 1, "it asks the server nothing");
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorWatchStoppedBefore` and `...After`: cancellation is prompt
/// wherever the reflector is, and no watch is left open.
#[tokio::test(start_paused = true)]
async fn cancellation_is_prompt_everywhere() {
    let listing = FakeSource::new();
    listing.answer_list(Answer::Hang);
    let opening = FakeSource::new();
    opening.answer_watch(Answer::Hang);
    let waiting = FakeSource::new();
    waiting.answer_list(Answer::Fail(internal()));
    let watching = FakeSource::new();
    for source in [listing, opening, waiting, watching] {
        let rig = Rig::start(&source);
        rig.settle().await;
        let fifo = rig.fifo.clone();
        rig.stop().await;
        assert!(fifo.is_closed());
        assert_eq!(source.open_watches(), 0);
    }
    let cancelled = Rig::start(&FakeSource::new());
    cancelled.stop().await;
}

/// A reflector that is held up by a full log is cancelled as promptly.
#[tokio::test(start_paused = true)]
async fn cancellation_is_prompt_while_the_log_is_full() {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kubewright_cache::{Store, StoreConfig};
    use tokio_util::sync::CancellationToken;

    let source = FakeSource::new();
    let (_writer, store) = Store::<ConfigMap>::new(StoreConfig::default());
    let mut config = FifoConfig::default();
    config.capacity = 3.try_into().unwrap();
    let fifo = DeltaFifo::new(config);
    let reflector = Reflector::new(
        source.clone(),
        store,
        fifo.clone(),
        ReflectorConfig::default(),
    )
    .unwrap();
    let token = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(reflector.run(token.clone()));
    sleep(seconds(1)).await;
    for _ in 0..10 {
        source.apply(object("a"));
    }
    sleep(seconds(1)).await;
    assert_eq!(
        fifo.len(),
        3,
        "the first picture and two changes; the rest waits at the source"
    );
    let before = Instant::now();
    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(before.elapsed(), seconds(0));
}
