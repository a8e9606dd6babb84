//! Shutdown and drain.

use std::time::Duration;

use futures::poll;
use kubewright_workqueue::{Drained, WorkQueue};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

fn queue_of(keys: &[&'static str]) -> WorkQueue<&'static str> {
    let queue = WorkQueue::default();
    for key in keys {
        queue.add(*key);
    }
    queue
}

/// client-go `TestQueueDrainageUsingShutDownWithDrain`.
#[tokio::test]
async fn test_queue_drainage_using_shut_down_with_drain() {
    let queue = queue_of(&["foo", "bar"]);
    let first = queue.get().await.unwrap();
    let second = queue.get().await.unwrap();
    let mut drain = Box::pin(queue.drain());
    assert!(poll!(&mut drain).is_pending());
    assert!(queue.is_shutting_down());
    assert!(queue.get().await.is_none());
    drop(first);
    assert!(poll!(&mut drain).is_pending());
    drop(second);
    assert_eq!(drain.await, Drained::Complete);
}

/// client-go `TestNoQueueDrainageUsingShutDown`.
#[tokio::test]
async fn test_no_queue_drainage_using_shut_down() {
    let queue = queue_of(&["foo", "bar"]);
    let _first = queue.get().await.unwrap();
    let _second = queue.get().await.unwrap();
    queue.shutdown();
    assert!(queue.get().await.is_none());
}

/// client-go `TestForceQueueShutdownUsingShutDown`.
#[tokio::test]
async fn test_force_queue_shutdown_using_shut_down() {
    let queue = queue_of(&["foo", "bar"]);
    let _first = queue.get().await.unwrap();
    let _second = queue.get().await.unwrap();
    let mut drain = Box::pin(queue.drain());
    assert!(poll!(&mut drain).is_pending());
    queue.shutdown();
    assert_eq!(drain.await, Drained::Aborted);
}

/// client-go `TestQueueDrainageUsingShutDownWithDrainWithDirtyItem`, with one difference: there a
/// worker is told "shut down" while the item is to run again, and must not believe it.
#[tokio::test]
async fn test_queue_drainage_using_shut_down_with_drain_with_dirty_item() {
    let queue = queue_of(&["foo"]);
    let gotten = queue.get().await.unwrap();
    queue.add("foo");
    let mut drain = Box::pin(queue.drain());
    assert!(poll!(&mut drain).is_pending());
    let mut get = Box::pin(queue.get());
    assert!(poll!(&mut get).is_pending(), "the item will come again");
    drop(gotten);
    let again = get.await.expect("it came again");
    assert!(poll!(&mut drain).is_pending());
    drop(again);
    assert!(queue.get().await.is_none());
    assert_eq!(drain.await, Drained::Complete);
}

/// What client-go's drain does not do (kubernetes PR 141079): it returns with items queued.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_queued_keys_too() {
    let queue = queue_of(&["foo", "bar"]);
    let mut drain = Box::pin(queue.drain());
    assert!(
        poll!(&mut drain).is_pending(),
        "nothing is processing, two are queued"
    );
    drop(queue.get().await);
    assert!(poll!(&mut drain).is_pending());
    drop(queue.get().await);
    assert_eq!(drain.await, Drained::Complete);
}

/// What client-go's drain does not do: its second waiter may hang.
#[tokio::test(start_paused = true)]
async fn every_waiter_of_a_drain_returns() {
    let queue = queue_of(&["foo"]);
    let item = queue.get().await.unwrap();
    let mut drains = JoinSet::new();
    for _ in 0..3 {
        let (one, other) = (queue.clone(), queue.clone());
        drains.spawn(async move { one.drain().await });
        drains.spawn(async move { other.drain_all().await });
    }
    sleep(Duration::from_secs(1)).await;
    assert!(drains.try_join_next().is_none());
    drop(item);
    assert_eq!(drains.join_all().await, [Drained::Complete; 6]);
    assert_eq!(queue.drain().await, Drained::Complete, "it is empty");
}

#[tokio::test(start_paused = true)]
async fn a_drain_drops_what_is_delayed() {
    let queue = queue_of(&["foo"]);
    queue.add_after("later", Duration::from_secs(1));
    queue.add_rate_limited("retry");
    let item = queue.get().await.unwrap();
    let mut drain = Box::pin(queue.drain());
    assert!(poll!(&mut drain).is_pending());
    drop(item);
    let start = Instant::now();
    assert_eq!(drain.await, Drained::Complete);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(queue.get().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn drain_all_waits_for_what_is_delayed() {
    let queue = queue_of(&["foo"]);
    queue.add_after("later", Duration::from_secs(60));
    queue.add_rate_limited("retry");
    let worker = queue.clone();
    let mut workers = JoinSet::new();
    workers.spawn(async move {
        let mut seen = Vec::new();
        while let Some(item) = worker.get().await {
            seen.push(*item);
            worker.add("too late");
            worker.add_after("too late", Duration::from_millis(1));
            worker.add_rate_limited("too late");
        }
        seen
    });
    let start = Instant::now();
    let mut drain = Box::pin(queue.drain_all());
    assert!(poll!(&mut drain).is_pending());
    assert_eq!(drain.await, Drained::Complete);
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    assert_eq!(workers.join_all().await, [["foo", "retry", "later"]]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cuts_drain_all_short() {
    let queue = queue_of(&[]);
    queue.add_after("later", Duration::from_secs(60));
    let mut drain = Box::pin(queue.drain_all());
    assert!(poll!(&mut drain).is_pending());
    let mut get = Box::pin(queue.get());
    assert!(poll!(&mut get).is_pending());
    queue.shutdown();
    assert!(get.await.is_none());
    assert_eq!(
        drain.await,
        Drained::Complete,
        "dropping the delayed emptied it"
    );
}

#[tokio::test]
async fn a_drain_after_a_shutdown_still_waits() {
    let queue = queue_of(&["foo"]);
    let item = queue.get().await.unwrap();
    queue.shutdown();
    let mut drain = Box::pin(queue.drain());
    assert!(poll!(&mut drain).is_pending());
    drop(item);
    assert_eq!(drain.await, Drained::Complete);
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_taken() {
    let queue = queue_of(&[]);
    queue.shutdown();
    queue.add("foo");
    queue.add_after("foo", Duration::from_secs(1));
    queue.add_after("foo", Duration::ZERO);
    queue.add_rate_limited("foo");
    assert_eq!(queue.stats(), Default::default());
    assert!(queue.get().await.is_none());
    assert!(queue.try_get().is_none());
}
