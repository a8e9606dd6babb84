//! `add_rate_limited`: the key's own delay, then the line for tokens.

use std::time::Duration;

use kubewright_workqueue::{FastSlow, ItemExponential, QueueConfig, TokenBucket, WorkQueue};
use tokio::time::{Instant, advance};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A queue whose keys have no delay of their own, and that gives out a token every 100 ms.
fn one_token_at_a_time<K: Clone + Eq + std::hash::Hash + Send + 'static>() -> WorkQueue<K> {
    let mut config = QueueConfig::default();
    config.limiter = Box::new(FastSlow::new(Duration::ZERO, Duration::ZERO, 0));
    config.bucket = Some(TokenBucket::new(ms(100), 1).expect("neither is zero"));
    WorkQueue::new(config)
}

/// Runs the queue dry and tells when each key was handed out, in milliseconds.
async fn run_dry(queue: &WorkQueue<u32>) -> Vec<(u32, u128)> {
    let start = Instant::now();
    let mut runs = Vec::new();
    while queue.stats() != Default::default() {
        let item = queue.get().await.expect("it is not shut down");
        runs.push((*item, start.elapsed().as_millis()));
    }
    runs
}

/// client-go `TestRateLimitingQueue`: `add_rate_limited` waits as long as the limiter says.
#[tokio::test(start_paused = true)]
async fn test_rate_limiting_queue() {
    let mut config = QueueConfig::default();
    config.limiter = Box::new(ItemExponential::new(ms(1), ms(1000)).unwrap());
    let queue = WorkQueue::<&str>::new(config);
    let after = async |key| {
        let start = Instant::now();
        queue.add_rate_limited(key);
        drop(queue.get().await);
        start.elapsed().as_millis()
    };
    assert_eq!(after("one").await, 1);
    assert_eq!(after("one").await, 2);
    assert_eq!(queue.num_requeues(&"one"), 2);
    assert_eq!(after("two").await, 1);
    assert_eq!(after("two").await, 2);
    queue.forget(&"one");
    assert_eq!(queue.num_requeues(&"one"), 0);
    assert_eq!(after("one").await, 1);
}

/// The default lets 100 retries pass at once and 10 per second from then on.
#[tokio::test(start_paused = true)]
async fn the_default_is_that_of_client_go() {
    let queue = WorkQueue::<u32>::default();
    for key in 0..120 {
        queue.add_rate_limited(key);
    }
    let runs = run_dry(&queue).await;
    let keys: Vec<u32> = runs.iter().map(|run| run.0).collect();
    assert_eq!(keys, (0..120).collect::<Vec<_>>());
    assert!(runs[..100].iter().all(|run| run.1 == 5));
    for (nth, run) in runs[100..].iter().enumerate() {
        assert_eq!(run.1, 5 + 100 * (nth as u128 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_own_delay_runs_before_the_line() {
    let mut config = QueueConfig::default();
    config.limiter = Box::new(ItemExponential::new(ms(10), ms(1000)).unwrap());
    config.bucket = Some(TokenBucket::new(ms(100), 1).unwrap());
    let queue = WorkQueue::<u32>::new(config);
    for _ in 0..5 {
        queue.add_rate_limited(1); // 160 ms by now, of which the first 10 ms count
        queue.forget(&2);
    }
    queue.add_rate_limited(2);
    queue.add_rate_limited(3);
    let stats = queue.stats();
    assert_eq!((stats.delayed, stats.awaiting_token), (3, 0));
    assert_eq!(run_dry(&queue).await, [(1, 10), (2, 110), (3, 210)]);
}

#[tokio::test(start_paused = true)]
async fn plain_adds_overtake_the_line() {
    let queue = one_token_at_a_time();
    for key in [1, 2, 3] {
        queue.add_rate_limited(key);
    }
    queue.add(4);
    queue.add_after(5, ms(50));
    assert_eq!(
        run_dry(&queue).await,
        [(1, 0), (4, 0), (5, 50), (2, 100), (3, 200)]
    );
}

/// client-go's bucket reserves at each add: 50 adds of one key would put it five seconds off.
#[tokio::test(start_paused = true)]
async fn adds_of_one_key_do_not_compound() {
    let queue = one_token_at_a_time();
    queue.add_rate_limited(1);
    for _ in 0..50 {
        queue.add_rate_limited(2);
    }
    queue.add_rate_limited(3);
    assert_eq!(queue.stats().awaiting_token, 2);
    assert_eq!(run_dry(&queue).await, [(1, 0), (2, 100), (3, 200)]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_a_run_overtook_is_settled_by_it() {
    let queue = one_token_at_a_time();
    for key in [1, 2, 3] {
        queue.add_rate_limited(key);
    }
    queue.add(2);
    // 2 leaves the line and takes no token: 3 gets the next one.
    assert_eq!(run_dry(&queue).await, [(1, 0), (2, 0), (3, 100)]);

    // The same while the key's own delay runs.
    let queue = WorkQueue::<u32>::default();
    queue.add_rate_limited(1);
    queue.add(1);
    assert_eq!(run_dry(&queue).await, [(1, 0)]);
    // And if the key was waiting to run when the retry was asked for.
    queue.add(1);
    queue.add_rate_limited(1);
    assert_eq!(run_dry(&queue).await, [(1, 0)]);
    assert_eq!(
        queue.num_requeues(&1),
        2,
        "the failures were counted all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_asked_for_during_a_run_is_not_settled_by_that_run() {
    let queue = WorkQueue::<u32>::default();
    queue.add(1);
    let item = queue.get().await.unwrap();
    queue.add_rate_limited(1);
    drop(item);
    assert_eq!(run_dry(&queue).await, [(1, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_rerun_settles_a_retry() {
    let queue = WorkQueue::<u32>::default();
    queue.add(1);
    let item = queue.get().await.unwrap();
    queue.add_rate_limited(1);
    queue.add(1);
    drop(item);
    assert_eq!(run_dry(&queue).await, [(1, 0)]);
}

/// Of a retry and a later run of one key, the earlier deadline wins.
#[tokio::test(start_paused = true)]
async fn meeting_one_deadline_settles_the_others_of_its_key() {
    let queue = one_token_at_a_time();
    queue.add_rate_limited(1);
    queue.add_rate_limited(2); // at 100 ms
    queue.add_after(2, ms(500));
    queue.add_rate_limited(3); // at 200 ms, after the run at 150 ms
    queue.add_after(3, ms(150));
    assert_eq!(run_dry(&queue).await, [(1, 0), (2, 100), (3, 150)]);
}

#[tokio::test(start_paused = true)]
async fn tokens_come_back_while_nobody_asks() {
    let mut config = QueueConfig::<u32>::default();
    config.limiter = Box::new(FastSlow::new(Duration::ZERO, Duration::ZERO, 0));
    config.bucket = Some(TokenBucket::new(ms(100), 3).unwrap());
    let queue = WorkQueue::new(config);
    for key in 0..4 {
        queue.add_rate_limited(key);
    }
    assert_eq!(run_dry(&queue).await, [(0, 0), (1, 0), (2, 0), (3, 100)]);
    advance(ms(250)).await;
    for key in 0..4 {
        queue.add_rate_limited(key);
    }
    assert_eq!(run_dry(&queue).await, [(0, 0), (1, 0), (2, 50), (3, 150)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_bucket_only_the_own_delay_counts() {
    let mut config = QueueConfig::default();
    config.bucket = None;
    let queue = WorkQueue::<u32>::new(config);
    for key in 0..1000 {
        queue.add_rate_limited(key);
    }
    assert!(run_dry(&queue).await.iter().all(|run| run.1 == 5));
}

#[tokio::test(start_paused = true)]
async fn forgetting_takes_no_retry_away() {
    let queue = WorkQueue::<u32>::default();
    queue.add_rate_limited(1);
    queue.forget(&1);
    assert_eq!(run_dry(&queue).await, [(1, 5)]);
}
