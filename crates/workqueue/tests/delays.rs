//! `add_after`.

use std::time::Duration;

use kubewright_workqueue::WorkQueue;
use tokio::time::{Instant, advance, timeout};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Takes the key that is ready now and is done with it.
fn take(queue: &WorkQueue<&'static str>) -> Option<&'static str> {
    queue.try_get().map(|item| *item)
}

/// client-go `TestSimpleQueue`.
#[tokio::test(start_paused = true)]
async fn test_simple_queue() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(50));
    assert_eq!(queue.len(), 0);
    advance(ms(60)).await;
    assert_eq!(queue.len(), 1);
    assert_eq!(take(&queue), Some("foo"));
    advance(Duration::from_secs(10)).await;
    assert_eq!(queue.stats(), Default::default());
}

/// client-go `TestDeduping`: of two deadlines the earlier wins, whichever came first.
#[tokio::test(start_paused = true)]
async fn test_deduping() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(50));
    queue.add_after("foo", ms(70));
    assert_eq!(queue.len(), 0);
    advance(ms(60)).await;
    assert_eq!(take(&queue), Some("foo"));
    advance(ms(20)).await;
    assert_eq!(take(&queue), None);

    queue.add_after("foo", ms(50));
    queue.add_after("foo", ms(30));
    assert_eq!(queue.len(), 0);
    advance(ms(40)).await;
    assert_eq!(take(&queue), Some("foo"));
    advance(ms(20)).await;
    assert_eq!(take(&queue), None);
}

/// client-go `TestAddTwoFireEarly`.
#[tokio::test(start_paused = true)]
async fn test_add_two_fire_early() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(1000));
    queue.add_after("bar", ms(50));
    assert_eq!(queue.len(), 0);
    advance(ms(60)).await;
    assert_eq!(take(&queue), Some("bar"));
    queue.add_after("baz", ms(2000));
    advance(ms(1000)).await;
    assert_eq!(take(&queue), Some("foo"));
    assert_eq!(take(&queue), None);
    advance(ms(2000)).await;
    assert_eq!(take(&queue), Some("baz"));
}

/// client-go `TestCopyShifting`: keys whose time came together come in the order of their deadlines.
#[tokio::test(start_paused = true)]
async fn test_copy_shifting() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(1000));
    queue.add_after("bar", ms(500));
    queue.add_after("baz", ms(250));
    advance(ms(2000)).await;
    assert_eq!(queue.len(), 3);
    assert_eq!(take(&queue), Some("baz"));
    assert_eq!(take(&queue), Some("bar"));
    assert_eq!(take(&queue), Some("foo"));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_get_drives_the_timers() {
    let queue = WorkQueue::default();
    let start = Instant::now();
    queue.add_after("foo", ms(50));
    assert_eq!(queue.get().await.map(|item| *item), Some("foo"));
    assert_eq!(start.elapsed(), ms(50));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_reaches_a_get_that_waits_for_a_later_one() {
    let queue = WorkQueue::default();
    let start = Instant::now();
    queue.add_after("later", ms(500));
    let add = async {
        advance(ms(10)).await;
        queue.add_after("sooner", ms(20));
    };
    let (item, ()) = tokio::join!(queue.get(), add);
    assert_eq!(item.map(|item| *item), Some("sooner"));
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn the_timers_pass_on_when_their_driver_leaves() {
    let queue = WorkQueue::default();
    let start = Instant::now();
    queue.add_after("foo", ms(100));
    let driver = timeout(ms(10), queue.get());
    let (gave_up, item) = tokio::join!(driver, queue.get());
    assert!(gave_up.is_err());
    assert_eq!(item.map(|item| *item), Some("foo"));
    assert_eq!(start.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_plain_add_does_not_take_a_deadline_away() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(100));
    queue.add("foo");
    assert_eq!(take(&queue), Some("foo"));
    assert_eq!(take(&queue), None);
    advance(ms(100)).await;
    assert_eq!(take(&queue), Some("foo"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_met_while_the_key_is_ready_or_running_is_one_run() {
    let queue = WorkQueue::default();
    queue.add_after("foo", ms(100));
    queue.add("foo");
    advance(ms(100)).await;
    assert_eq!(queue.len(), 1, "ready already");

    let item = queue.try_get().unwrap();
    queue.add_after("foo", ms(100));
    advance(ms(100)).await;
    assert_eq!(queue.len(), 0, "it is running");
    drop(item);
    assert_eq!(take(&queue), Some("foo"));
    assert_eq!(queue.stats(), Default::default());
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_a_plain_add() {
    let queue = WorkQueue::default();
    queue.add_after("foo", Duration::ZERO);
    assert_eq!(take(&queue), Some("foo"));
}

#[tokio::test(start_paused = true)]
async fn the_longest_delay_does_no_harm() {
    let queue = WorkQueue::default();
    queue.add_after("never", Duration::MAX);
    queue.add_after("foo", ms(1));
    assert_eq!(queue.get().await.map(|item| *item), Some("foo"));
    assert!(
        timeout(Duration::from_secs(3600), queue.get())
            .await
            .is_err()
    );
    assert_eq!(queue.stats().delayed, 1);
}

/// Keys that were due before a later add come before it, though nobody looked in between.
#[tokio::test(start_paused = true)]
async fn the_order_is_that_of_becoming_ready() {
    let queue = WorkQueue::default();
    queue.add_after("first", ms(10));
    queue.add_after("third", ms(30));
    advance(ms(20)).await;
    queue.add("second");
    advance(ms(20)).await;
    assert_eq!(take(&queue), Some("first"));
    assert_eq!(take(&queue), Some("second"));
    assert_eq!(take(&queue), Some("third"));
}
