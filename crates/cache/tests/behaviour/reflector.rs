//! Lists, watches and what follows their failures.

use futures::stream;
use kubewright_cache::testing::{Answer, FakeSource, FakeWatch};
use kubewright_cache::{
    ListOptions, ListerWatcher, Operation, Page, PageSink, ResourceVersion, SourceError,
    Undecodable, VersionMatch, WatchEvent, WatchOptions, scan,
};
use tokio::time::{Instant, sleep};

use crate::rig::{Rig, busy, expired, internal, key, object, seconds, unreachable};

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

/// Answers to client-go's `TestReflectorResyncWithResourceVersion`: no time travel.
#[tokio::test(start_paused = true)]
async fn a_relist_asks_for_nothing_older_than_what_is_known() {
    let source = FakeSource::new();
    source.advance_to(9);
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let [first, second] = &source.lists()[..] else {
        panic!("two lists")
    };
    assert_eq!(first.resource_version, ResourceVersion::ANY);
    assert_eq!(second.resource_version, "10");
    assert_eq!(second.version_match, Some(VersionMatch::NotOlderThan));
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorNotPaginatingNotConsistentReads`.
#[tokio::test(start_paused = true)]
async fn a_relist_from_the_cache_is_not_paged() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let limits: Vec<_> = source.lists().iter().map(|list| list.limit).collect();
    assert_eq!(limits, [Some(500), None]);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorPaginatingNonConsistentReadsIfWatchCacheDisabled`.
#[tokio::test(start_paused = true)]
async fn a_server_without_cache_is_always_paged() {
    let source = FakeSource::new().without_cache();
    for number in 0..501 {
        source.apply(object(&format!("o-{number:03}")));
    }
    let rig = Rig::start(&source);
    rig.settle().await;
    assert_eq!(rig.store.len(), 501);
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let asked: Vec<_> = source
        .lists()
        .iter()
        .map(|list| {
            (
                list.resource_version.to_string(),
                list.limit,
                list.continue_token.is_some(),
            )
        })
        .collect();
    let first = |version: &str| (version.to_owned(), Some(500), false);
    let later = (String::new(), Some(500), true);
    assert_eq!(asked, [first("0"), later.clone(), first("501"), later]);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorWatchListPageSize`.
#[tokio::test(start_paused = true)]
async fn a_configured_page_size_pages_every_list() {
    let source = FakeSource::new().without_cache();
    for number in 0..10 {
        source.apply(object(&format!("o-{number}")));
    }
    let rig = Rig::configured(source.clone(), |reflector, _| {
        reflector.page_size = 4.try_into().ok();
    });
    rig.settle().await;
    assert_eq!(rig.events().len(), 10);
    let limits: Vec<_> = source.lists().iter().map(|list| list.limit).collect();
    assert_eq!(limits, [Some(4); 3]);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorExpiredExactResourceVersion`.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_leads_to_the_most_recent_state() {
    let source = FakeSource::new();
    source.advance_to(9);
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.answer_list(Answer::Fail(expired()));
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let asked: Vec<_> = source
        .lists()
        .iter()
        .map(|l| l.resource_version.to_string())
        .collect();
    assert_eq!(asked, ["0", "10", ""]);

    // Once that has worked, the version counts again.
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(source.lists().last().unwrap().resource_version, "10");
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorFullListIfTooLarge`; the shapes of the error are told apart
/// by the source.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_there_yet_leads_to_the_most_recent_state() {
    let source = FakeSource::new();
    source.advance_to(19);
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.answer_list(Answer::Fail(SourceError::ResourceVersionTooLarge {
        message: "Too large resource version: 20, current: 10".into(),
    }));
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let asked: Vec<_> = source
        .lists()
        .iter()
        .map(|l| l.resource_version.to_string())
        .collect();
    assert_eq!(asked, ["0", "20", ""]);
    rig.stop().await;
}

/// Answers to client-go's `TestReflectorFullListIfExpired`: a continue token that expires between
/// pages leads to one whole list at the version first asked for.
#[tokio::test(start_paused = true)]
async fn an_expired_continue_token_leads_to_one_whole_list() {
    let source = FakeSource::new();
    source.advance_to(9);
    source.apply(object("a"));
    let rig = Rig::configured(source.clone(), |reflector, _| {
        reflector.page_size = 4.try_into().ok();
    });
    rig.settle().await;
    for number in 0..8 {
        source.apply_unseen(object(&format!("o-{number}")));
    }
    source.answer_list(Answer::Serve);
    source.answer_list(Answer::Fail(expired()));
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let asked: Vec<_> = source
        .lists()
        .iter()
        .map(|list| {
            (
                list.resource_version.to_string(),
                list.limit,
                list.continue_token.is_some(),
            )
        })
        .collect();
    let request = |version: &str, limit, continued| (version.to_owned(), limit, continued);
    assert_eq!(
        asked,
        [
            request("0", Some(4), false),
            request("10", Some(4), false),
            request("", Some(4), true),
            request("10", None, false),
        ]
    );
    assert_eq!(rig.store.len(), 9);
    rig.stop().await;
}

/// A server that goes on with later pages from a newer state than it began with may have changed
/// what the first page holds; a watch from the first page's version tells.
#[tokio::test(start_paused = true)]
async fn the_version_of_a_list_is_that_of_its_first_page() {
    let source = FakeSource::new().without_cache();
    for name in ["a", "b", "c"] {
        source.apply(object(name));
    }
    let rig = Rig::configured(Inconsistent(source.clone()), |reflector, _| {
        reflector.page_size = 2.try_into().ok();
    });
    rig.settle().await;
    assert_eq!(source.watches()[0].resource_version, "3");
    assert_eq!(rig.events(), ["+a@1!", "+b@2!", "+c@3!", "~a@1>4"]);
    rig.stop().await;
}

/// Changes an object while a list is between its pages, and lets later pages say so.
struct Inconsistent(FakeSource);

impl ListerWatcher for Inconsistent {
    type Watch = FakeWatch;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let mut page = self.0.list(options, items).await?;
        if options.continue_token.is_some() {
            page.resource_version = self.0.apply(object("a"));
        }
        Ok(page)
    }

    async fn watch(&self, options: &WatchOptions) -> Result<FakeWatch, SourceError> {
        self.0.watch(options).await
    }
}

/// A server whose continue tokens never work is not stormed with lists.
#[tokio::test(start_paused = true)]
async fn continue_tokens_that_never_work_are_backed_off_from() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::configured(Tokens(source.clone()), |_, _| {});
    sleep(seconds(600)).await;
    let asked = source.lists().len();
    assert!((20..120).contains(&asked), "{asked} in 10 minutes");
    assert_eq!(rig.events(), [""; 0], "half a picture is none");
    rig.stop().await;
}

/// Every list goes on, and no list can be gone on with.
struct Tokens(FakeSource);

impl ListerWatcher for Tokens {
    type Watch = FakeWatch;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        let page = self.0.list(options, items).await?;
        Ok(page.with_more("no good"))
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

/// What answers in an API server's place with a page of its own is not asked again and again.
#[tokio::test(start_paused = true)]
async fn a_watch_of_noise_is_backed_off_from() {
    let source = FakeSource::new();
    source.apply(object("a"));
    let rig = Rig::configured(Noisy(source.clone()), |_, _| {});
    sleep(seconds(600)).await;
    let asked = source.watches().len();
    assert!((10..30).contains(&asked), "{asked} in 10 minutes");
    rig.stop().await;
}

/// Every watch is one line that makes no sense.
struct Noisy(FakeSource);

impl ListerWatcher for Noisy {
    type Watch = stream::Iter<std::option::IntoIter<Result<WatchEvent, SourceError>>>;

    async fn list(
        &self,
        options: &ListOptions,
        items: &mut dyn PageSink,
    ) -> Result<Page, SourceError> {
        self.0.list(options, items).await
    }

    async fn watch(&self, options: &WatchOptions) -> Result<Self::Watch, SourceError> {
        self.0.watch(options).await?;
        let error = scan::object(b"<html>").unwrap_err();
        let noise = WatchEvent::Undecodable(Undecodable::unreadable(error));
        Ok(stream::iter(Some(Ok(noise))))
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
    sleep(seconds(1200)).await;
    assert_eq!(source.open_watches(), 1);

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
    use kubewright_cache::{DeltaFifo, FifoConfig, Reflector, ReflectorConfig, Store, StoreConfig};
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
