//! The defects of kube-runtime 5.0's watcher and store, each as a test that this crate passes.

use kubewright_cache::testing::{Answer, FakeSource, Request};
use kubewright_cache::{Operation, ResourceVersion};
use tokio::time::sleep;

use crate::rig::{Rig, expired, internal, key, object, seconds};

/// kube-runtime 5.0 resets its backoff before every list, so that a server answering 500 is asked
/// again about once a second for ever. Here the gaps grow to the cap, and a list that succeeds
/// starts them over.
#[tokio::test(start_paused = true)]
async fn d1_list_failure_backoff_grows() {
    let source = FakeSource::new();
    for _ in 0..9 {
        source.answer_list(Answer::Fail(internal()));
    }
    let rig = Rig::start(&source);
    sleep(seconds(600)).await;

    let asked: Vec<_> = source
        .seen()
        .into_iter()
        .filter(|seen| matches!(seen.request, Request::List(_)))
        .map(|seen| seen.at)
        .collect();
    assert_eq!(asked.len(), 10, "nine failures and a success");
    let due = [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0];
    for (gap, due) in asked.windows(2).zip(due) {
        let gap = (gap[1] - gap[0]).as_secs_f64();
        assert!(due <= gap && gap < 2.0 * due + 0.002, "{gap} for {due}");
    }

    // The success has reset the delay: the next failure waits the shortest time again.
    source.answer_list(Answer::Fail(internal()));
    source.fail_watches(expired);
    sleep(seconds(60)).await;
    let asked: Vec<_> = source.seen().iter().map(|seen| seen.at).collect();
    let [.., failed, again, _watch] = asked[..] else {
        panic!("{asked:?}")
    };
    assert!(
        (again - failed).as_secs_f64() < 1.61,
        "{:?}",
        again - failed
    );
    rig.stop().await;
}

/// kube-runtime 5.0 asks for the same dead version for ever when opening a watch is answered with
/// HTTP 410. Here that leads to a list.
#[tokio::test(start_paused = true)]
async fn d2_watch_refused_with_410_relists() {
    let source = FakeSource::new().expired_by_status();
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!"]);

    // The watch ends in peace, and the next one is refused.
    sleep(seconds(2)).await;
    source.apply_unseen(object("b"));
    source.compact();
    source.end_watches();
    sleep(seconds(5)).await;
    let (operation, error) = &rig.failures()[0];
    assert_eq!(*operation, Operation::OpenWatch);
    assert!(error.starts_with("the resource version is gone"), "{error}");
    assert_eq!(rig.events(), ["+b@2"]);
    assert_eq!(source.lists().len(), 2);
    let [.., refused, open] = &source.watches()[..] else {
        panic!("two watches at least")
    };
    assert_eq!(refused.resource_version, "1");
    assert_eq!(open.resource_version, "2");
    rig.stop().await;
}

/// kube-runtime 5.0 turns a watch line that does not decode into an empty API error, ends the
/// stream, and gets the same line again for ever. Here the real error is told once, with the
/// object and version it concerns; the watch goes on and the version moves on.
#[tokio::test(start_paused = true)]
async fn d3_undecodable_watch_event_is_told_once_and_passed_over() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply(object("b"));
    let rig = Rig::start(&source);
    rig.settle().await;
    rig.events();

    let poison =
        r#"{"metadata": {"name": "a", "uid": "uid-1", "resourceVersion": "3", "labels": 5}}"#;
    source.apply_raw(&key("a"), poison);
    source.apply(object("b"));
    rig.settle().await;
    assert_eq!(rig.events(), ["~b@2>4"], "the event after it arrives");
    assert_eq!(source.watches().len(), 1, "on the same watch");
    assert_eq!(
        rig.notes.undecodable.lock()[..],
        ["a at version 3: expected an object at byte 77"]
    );
    assert_eq!(rig.store.failures().undecodable, 1);

    // The last readable state stays, marked; a readable one takes its place.
    assert_eq!(rig.objects(), ["a@1", "b@4"]);
    let snapshot = rig.store.snapshot();
    assert_eq!(
        snapshot.undecodable("a").unwrap().resource_version,
        Some(ResourceVersion::from(3))
    );
    source.end_watches();
    rig.settle().await;
    source.apply(object("a"));
    rig.settle().await;
    assert_eq!(rig.events(), ["~a@1>5"]);
    assert!(rig.store.snapshot().undecodable("a").is_none());
    assert_eq!(rig.store.failures().undecodable, 1, "it was not replayed");
    rig.stop().await;
}

/// The same where nothing can be read but that an object went away.
#[tokio::test(start_paused = true)]
async fn d3_undecodable_deletion_still_deletes() {
    let source = FakeSource::new();
    let poison = r#"{"metadata": {"name": "a", "labels": {"k": {}}}}"#;
    source.apply(object("a"));
    let rig = Rig::start(&source);
    rig.settle().await;
    source.apply_raw(&key("a"), poison);
    source.delete(&key("a"));
    rig.settle().await;
    assert_eq!(
        rig.events(),
        ["+a@1!", "-a@1?"],
        "its last readable state may not be its last"
    );
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(3)));
    rig.stop().await;
}

/// In kube-runtime 5.0 one undecodable item fails a whole list, for ever. Here the others arrive,
/// and an object that was readable before keeps its last readable state.
#[tokio::test(start_paused = true)]
async fn d4_undecodable_list_item_is_isolated() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply(object("b"));
    source.apply_raw(
        &key("m"),
        r#"{"metadata": {"name": "m", "finalizers": "none"}}"#,
    );
    source.apply_raw(&key("n"), r#"{"metadata": []}"#);
    source.apply(object("z"));
    let rig = Rig::start(&source);
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!", "+b@2!", "+z@5!"]);
    assert!(rig.fifo.has_synced());
    assert_eq!(rig.store.failures().undecodable, 2);
    assert_eq!(rig.failures(), []);

    // A relist in which a known object has become unreadable, and one is gone.
    source.apply_raw(&key("b"), r#"{"metadata": {"name": "b", "labels": []}}"#);
    source.delete_unseen(&key("a"));
    source.compact();
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(rig.events(), ["-a@1?"]);
    assert_eq!(rig.objects(), ["b@2", "z@5"]);
    assert!(rig.store.snapshot().undecodable("b").is_some());
    rig.stop().await;
}

/// An object whose metadata is fine and whose body is not is in the store; asking for its typed
/// form is an error, which is remembered.
#[tokio::test(start_paused = true)]
async fn d4_undecodable_body_is_an_error_of_that_object_alone() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply_raw(
        &key("b"),
        r#"{"metadata": {"name": "b", "labels": {"k": "v"}}, "data": 5}"#,
    );
    let rig = Rig::start(&source);
    rig.settle().await;
    assert!(rig.store.get("a").unwrap().get().is_ok());
    let bad = rig.store.get("b").unwrap();
    assert_eq!(bad.meta().label("k"), Some("v"));
    let error = bad.get().unwrap_err();
    assert_eq!(error.key(), &key("b"));
    assert!(bad.get().is_err());
    assert_eq!(rig.store.failures().decode, 1, "tried once");
    rig.stop().await;
}

/// kube-runtime 5.0 drops objects that a relist does not bring without a word. Here they are
/// deleted with their last known state, and marked as inferred.
#[tokio::test(start_paused = true)]
async fn d8_deletions_missed_by_the_watch_are_announced() {
    let source = FakeSource::new();
    for name in ["a", "b", "c"] {
        source.apply(object(name));
    }
    let rig = Rig::start(&source);
    rig.settle().await;
    rig.events();
    source.delete_unseen(&key("b"));
    source.delete_unseen(&key("c"));
    source.apply_unseen(object("c"));
    source.compact();
    source.fail_watches(expired);
    sleep(seconds(5)).await;
    assert_eq!(rig.events(), ["-b@2?", "-c@3?", "+c@6"], "c was recreated");
    assert_eq!(rig.failures()[0].0, Operation::Watch);
    rig.stop().await;
}
