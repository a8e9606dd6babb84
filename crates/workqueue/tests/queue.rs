//! Adding, handing out and being done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kubewright_workqueue::{Cause, Drained, QueueConfig, WorkQueue};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How a test ends the queue under load.
#[derive(Clone, Copy)]
enum End {
    Shutdown,
    Drain,
}

impl End {
    async fn end<K: Clone + Eq + std::hash::Hash>(self, queue: &WorkQueue<K>) {
        match self {
            Self::Shutdown => queue.shutdown(),
            Self::Drain => assert_eq!(queue.drain().await, Drained::Complete),
        }
    }
}

/// client-go `TestBasic`: producers and consumers, and nothing after the shutdown.
#[tokio::test(start_paused = true)]
async fn test_basic() {
    for end in [End::Shutdown, End::Drain] {
        let queue = WorkQueue::<i32>::default();
        let mut producers = JoinSet::new();
        for producer in 0..50 {
            let queue = queue.clone();
            producers.spawn(async move {
                for _ in 0..50 {
                    queue.add(producer);
                    sleep(Duration::from_millis(1)).await;
                }
            });
        }
        let mut consumers = JoinSet::new();
        for _ in 0..10 {
            let queue = queue.clone();
            consumers.spawn(async move {
                while let Some(item) = queue.get().await {
                    assert_ne!(*item, -1, "it was added after the shutdown");
                    sleep(Duration::from_millis(3)).await;
                }
            });
        }
        producers.join_all().await;
        end.end(&queue).await;
        queue.add(-1);
        consumers.join_all().await;
        assert_eq!(queue.len(), 0);
    }
}

/// client-go `TestAddWhileProcessing`: every worker re-adds every item once.
#[tokio::test(start_paused = true)]
async fn test_add_while_processing() {
    for end in [End::Shutdown, End::Drain] {
        let queue = WorkQueue::<i32>::default();
        for key in 0..50 {
            queue.add(key);
        }
        let mut consumers = JoinSet::new();
        for _ in 0..10 {
            let queue = queue.clone();
            consumers.spawn(async move {
                let mut seen = HashMap::<i32, u32>::new();
                while let Some(item) = queue.get().await {
                    let times = seen.entry(*item).or_default();
                    *times += 1;
                    if *times < 2 {
                        queue.add(*item);
                    }
                    tokio::task::yield_now().await;
                }
                seen.values().sum::<u32>()
            });
        }
        tokio::task::yield_now().await;
        end.end(&queue).await;
        let runs: u32 = consumers.join_all().await.into_iter().sum();
        assert!(runs >= 50, "all keys ran: {runs}");
        assert_eq!(queue.stats(), Default::default());
    }
}

/// client-go `TestLen`.
#[test]
fn test_len() {
    let queue = WorkQueue::<&str>::default();
    assert!(queue.is_empty());
    queue.add("foo");
    assert_eq!(queue.len(), 1);
    queue.add("bar");
    assert_eq!(queue.len(), 2);
    queue.add("foo");
    assert_eq!(queue.len(), 2, "it is in the queue already");
}

/// client-go `TestReinsert`.
#[tokio::test]
async fn test_reinsert() {
    let queue = WorkQueue::<&str>::default();
    queue.add("foo");
    let item = queue.get().await.unwrap();
    queue.add(*item);
    assert_eq!(queue.len(), 0, "it is being processed");
    drop(item);
    let item = queue.get().await.unwrap();
    assert_eq!(*item, "foo");
    drop(item);
    assert_eq!(queue.len(), 0);
}

/// client-go `TestCollapse`; instead of its `Touch` hook, the causes of the adds merge.
#[tokio::test]
async fn test_collapse() {
    let queue = collapsing();
    queue.add_with("bar", Causes(vec![1]));
    queue.add_with("bar", Causes(vec![2]));
    let item = queue.get().await.unwrap();
    assert_eq!(item.cause().0, [1, 2]);
    drop(item);
    assert_eq!(queue.len(), 0);
}

/// client-go `TestCollapseWhileProcessing`.
#[tokio::test(start_paused = true)]
async fn test_collapse_while_processing() {
    let queue = collapsing();
    queue.add_with("foo", Causes(vec![1]));
    let first = queue.get().await.unwrap();
    queue.add_with("foo", Causes(vec![2]));
    queue.add_with("foo", Causes(vec![3]));

    let other = queue.clone();
    let mut worker = JoinSet::new();
    worker.spawn(async move { other.get().await.unwrap().cause().0.clone() });
    sleep(Duration::from_millis(100)).await;
    assert!(worker.try_join_next().is_none(), "blocked until it is done");
    assert_eq!(first.cause().0, [1]);
    drop(first);
    assert_eq!(worker.join_all().await, [[2, 3]], "one run for both adds");
    assert_eq!(queue.stats(), Default::default());
}

/// client-go `TestGarbageCollection`: what is done is not held.
#[tokio::test]
async fn test_garbage_collection() {
    let queue = WorkQueue::<Arc<str>>::default();
    let key: Arc<str> = Arc::from("hello");
    queue.add(Arc::clone(&key));
    queue.add(Arc::clone(&key));
    drop(queue.get().await);
    assert_eq!(Arc::strong_count(&key), 1);

    queue.add_after(Arc::clone(&key), Duration::from_secs(1));
    queue.add_rate_limited(Arc::clone(&key));
    queue.forget(&key);
    queue.shutdown();
    assert_eq!(Arc::strong_count(&key), 1);
}

#[tokio::test]
async fn keys_come_in_the_order_of_their_first_add() {
    let queue = WorkQueue::<u32>::default();
    for key in [3, 1, 3, 2, 1, 4] {
        queue.add(key);
    }
    let running = queue.get().await.unwrap();
    queue.add(3); // a rerun goes to the end
    queue.add(5);
    drop(running);
    queue.shutdown();
    let mut order = Vec::new();
    while let Some(item) = queue.get().await {
        order.push(*item);
    }
    assert_eq!(order, [1, 2, 4, 5, 3]);
}

#[tokio::test]
async fn any_number_of_adds_during_processing_is_one_rerun() {
    for adds in [1, 2, 10, 1000] {
        let queue = WorkQueue::<u32>::default();
        queue.add(1);
        let item = queue.get().await.unwrap();
        for _ in 0..adds {
            queue.add(1);
        }
        drop(item);
        assert!(queue.try_get().is_some());
        assert!(queue.try_get().is_none(), "after {adds} adds");
    }
}

#[tokio::test]
async fn a_panic_ends_the_run() {
    let queue = WorkQueue::<u32>::default();
    queue.add(1);
    let worker = queue.clone();
    let run = async move {
        let _item = worker.get().await;
        worker.add(1);
        panic!("the worker gives up");
    };
    assert!(
        std::panic::AssertUnwindSafe(run)
            .catch_unwind()
            .await
            .is_err()
    );
    assert_eq!(queue.get().await.map(|item| *item), Some(1));
}

#[derive(Default)]
struct Causes(Vec<u32>);

impl Cause for Causes {
    fn merge(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }
}

fn collapsing() -> WorkQueue<&'static str, Causes> {
    WorkQueue::new(QueueConfig::default())
}
