//! Lists: their versions, their pages, and what follows their failures.

use kubewright_cache::testing::{Answer, FakeSource, FakeWatch};
use kubewright_cache::{
    Delta, DeltaFifo, FifoConfig, InitialList, ListOptions, ListerWatcher, Page, PageSink,
    Reflector, ReflectorConfig, ResourceVersion, SourceError, VersionMatch, WatchOptions,
};
use tokio::time::sleep;

use crate::rig::{Rig, expired, object, seconds};

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

/// What a relist brings in the version that the store has is the store's own object, so that the
/// two pictures together need hardly more memory than one.
#[tokio::test(start_paused = true)]
async fn a_relist_hands_on_what_the_store_has() {
    for initial_list in [InitialList::Paged, InitialList::Streaming] {
        let source = FakeSource::new();
        source.apply(object("a"));
        source.apply(object("b"));
        let rig = Rig::start(&source);
        rig.settle().await;
        source.apply_unseen(object("b"));

        // A second reflector that knows the store, but fills a log of its own.
        let fifo = DeltaFifo::new(FifoConfig::default());
        let mut config = ReflectorConfig::default();
        config.initial_list = initial_list;
        let reflector = Reflector::new(source, rig.store.clone(), fifo.clone(), config).unwrap();
        let run = reflector.run(rig.token.clone());
        let picture = tokio::select! {
            () = run => panic!("it runs for ever"),
            batch = fifo.pop_batch() => batch.unwrap(),
        };
        let [Delta::Replaced { items, .. }] = picture.deltas() else {
            panic!("{picture:?}")
        };
        let shared = |name: &str, item: usize| rig.store.get(name).unwrap().ptr_eq(&items[item]);
        assert!(shared("a", 0) && !shared("b", 1));
        rig.stop().await;
    }
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
