//! Lists by the initial events of a watch.

use kubewright_cache::testing::{Answer, FakeSource};
use kubewright_cache::{
    InitialEvents, InitialList, Operation, ReflectorConfig, ResourceVersion, SourceError,
    StoreConfig, WatchEvent,
};
use tokio::time::sleep;

use crate::rig::{Rig, busy, expired, internal, key, object, seconds, unreachable};

fn streaming(reflector: &mut ReflectorConfig, _: &mut StoreConfig) {
    reflector.initial_list = InitialList::Streaming;
}

fn start(source: &FakeSource) -> Rig {
    Rig::configured(source.clone(), streaming)
}

fn requested(source: &FakeSource) -> Vec<(String, InitialEvents)> {
    let watch = |watch: &kubewright_cache::WatchOptions| {
        (watch.resource_version.to_string(), watch.initial_events)
    };
    source.watches().iter().map(watch).collect()
}

/// Answers to client-go's `TestWatchList` and `TestWatchListResourceVersion`: one watch brings the
/// picture and then the changes, and the version is that of the bookmark that ends the picture.
#[tokio::test(start_paused = true)]
async fn one_watch_lists_and_goes_on() {
    let source = FakeSource::new();
    source.apply(object("b"));
    source.apply(object("a"));
    source.advance_to(7);
    let rig = start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@2!", "+b@1!"]);
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(7)));
    source.apply(object("c"));
    rig.settle().await;
    assert_eq!(rig.events(), ["+c@8"]);
    assert_eq!(requested(&source), [(String::new(), InitialEvents::Sent)]);
    assert!(source.lists().is_empty());

    // A relist asks for nothing older than what is known, and announces what it missed.
    source.delete_unseen(&key("a"));
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(rig.events(), ["-a@2?"]);
    assert_eq!(requested(&source)[1], ("8".into(), InitialEvents::Sent));
    rig.stop().await;
}

/// Answers to the case of client-go's `TestWatchList` that checks the bookmark's annotation: a plain
/// bookmark does not complete the picture.
#[tokio::test(start_paused = true)]
async fn a_plain_bookmark_does_not_complete_the_picture() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    rig.settle().await;
    source.bookmark();
    rig.settle().await;
    assert!(!rig.fifo.has_synced());
    assert_eq!(rig.events(), [""; 0]);
    rig.stop().await;
}

/// Changes while the picture is incomplete are part of it.
#[tokio::test(start_paused = true)]
async fn changes_during_the_initial_events_are_applied() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    source.apply(object("b"));
    source.apply(object("c"));
    let rig = start(&source);
    rig.settle().await;
    source.apply(object("a"));
    source.delete(&key("b"));
    source.apply_raw(&key("c"), r#"{"metadata": {"name": "c", "labels": 1}}"#);
    source.emit(|| WatchEvent::Bookmark {
        resource_version: ResourceVersion::from(6),
        ends_initial_events: true,
    });
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@4!"]);
    assert_eq!(rig.store.failures().undecodable, 1);
    assert!(rig.store.snapshot().undecodable("c").is_some());
    rig.stop().await;
}

/// A stream that ends before the picture is complete leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn an_incomplete_picture_is_forgotten() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    rig.settle().await;
    source.delete_unseen(&key("a"));
    source.apply_unseen(object("b"));
    source.end_watches();
    sleep(seconds(5)).await;
    assert_eq!(rig.events(), [""; 0]);
    source.emit(|| WatchEvent::Bookmark {
        resource_version: ResourceVersion::from(3),
        ends_initial_events: true,
    });
    rig.settle().await;
    assert_eq!(rig.events(), ["+b@3!"], "nothing of the first attempt");
    let incomplete = "the streaming list was closed before it was complete";
    assert_eq!(
        rig.failures(),
        [(Operation::StreamingList, incomplete.to_owned())]
    );
    assert!(source.lists().is_empty());
    rig.stop().await;
}

/// The same where the next attempt follows at once.
#[tokio::test(start_paused = true)]
async fn an_incomplete_picture_of_a_version_that_is_gone_is_forgotten() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    rig.settle().await;
    source.delete_unseen(&key("a"));
    source.apply_unseen(object("b"));
    source.fail_watches(expired);
    rig.settle().await;
    source.emit(|| WatchEvent::Bookmark {
        resource_version: ResourceVersion::from(3),
        ends_initial_events: true,
    });
    rig.settle().await;
    assert_eq!(rig.events(), ["+b@3!"]);
    rig.stop().await;
}

/// The same server where there is always something going on, so that it is never silent: when it
/// closes the watch in the end, that is told, and it is listed.
#[tokio::test(start_paused = true)]
async fn a_busy_server_that_never_completes_the_picture_is_listed() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    while source.lists().is_empty() {
        assert!(source.seen().len() < 2, "one streaming list, then a list");
        source.apply(object("b"));
        sleep(seconds(30)).await;
    }
    assert_eq!(rig.store.len(), 2);
    assert_eq!(rig.failures()[0].0, Operation::StreamingList);
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(source.lists().len(), 2, "it is not asked to stream again");
    rig.stop().await;
}

/// A server without streaming lists says so, and is not asked again.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_listed() {
    let source = FakeSource::new().refusing_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!"]);
    assert_eq!(rig.failures()[0].0, Operation::StreamingList);
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    let streaming = requested(&source)
        .iter()
        .filter(|(_, initial)| *initial == InitialEvents::Sent)
        .count();
    assert_eq!((streaming, source.lists().len()), (1, 2));
    rig.stop().await;
}

/// A server that takes a streaming list for a plain watch never completes it. client-go hangs
/// there; here silence of a minute ends it.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_completes_the_picture_is_listed() {
    let source = FakeSource::new().ignoring_streaming();
    source.apply(object("a"));
    let rig = start(&source);
    sleep(seconds(59)).await;
    assert!(source.lists().is_empty());
    sleep(seconds(2)).await;
    assert_eq!(source.lists().len(), 1);
    assert_eq!(rig.events(), ["+a@1!"]);
    assert_eq!(
        rig.failures(),
        [(Operation::StreamingList, "nothing arrived for 60 s".into())]
    );
    rig.stop().await;
}

/// A server that does not even answer is no reason to doubt that it can stream.
#[tokio::test(start_paused = true)]
async fn an_unanswered_streaming_list_is_asked_for_again() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_watch(Answer::Hang);
    let rig = start(&source);
    sleep(seconds(63)).await;
    assert_eq!(rig.events(), ["+a@1!"]);
    assert!(source.lists().is_empty());
    rig.stop().await;
}

/// Any other failure is answered by a list in the same cycle.
#[tokio::test(start_paused = true)]
async fn another_failure_falls_back_for_this_time() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_watch(Answer::Fail(internal()));
    let rig = start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!"]);
    assert_eq!(source.lists().len(), 1);
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(
        requested(&source).last().unwrap(),
        &("1".into(), InitialEvents::Sent)
    );
    assert_eq!(source.lists().len(), 1);
    rig.stop().await;
}

/// Answers to the cases of client-go's `TestWatchList` about 429 and refused connections: they are
/// waited out. A version that is gone or not there yet is given up for the most recent state.
#[tokio::test(start_paused = true)]
async fn trouble_is_waited_out_and_versions_are_given_up() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.answer_watch(Answer::Fail(busy()));
    source.answer_watch(Answer::Fail(unreachable()));
    let rig = start(&source);
    sleep(seconds(10)).await;
    assert_eq!(rig.events(), ["+a@1!"]);

    source.answer_watch(Answer::Fail(SourceError::ResourceVersionTooLarge {
        message: "Too large resource version".into(),
    }));
    source.fail_watches(expired);
    sleep(seconds(10)).await;
    let versions: Vec<_> = requested(&source)
        .into_iter()
        .map(|(version, _)| version)
        .collect();
    assert_eq!(versions, ["", "", "", "1", ""]);
    assert!(source.lists().is_empty());
    rig.stop().await;
}
