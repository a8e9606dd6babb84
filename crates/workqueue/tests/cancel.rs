//! Many getters that come and go.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::poll;
use kubewright_workqueue::{Drained, WorkQueue};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A notified `get` that is dropped instead of polled passes its key on.
#[tokio::test]
async fn a_dropped_get_loses_nothing() {
    let queue = WorkQueue::<u32>::default();
    let mut fickle = Box::pin(queue.get());
    let mut patient = Box::pin(queue.get());
    assert!(poll!(&mut fickle).is_pending());
    assert!(poll!(&mut patient).is_pending());
    let worker = tokio::join!(
        async {
            queue.add(1);
            drop(fickle);
        },
        timeout(Duration::from_secs(5), patient),
    );
    assert_eq!(worker.1.unwrap().map(|item| *item), Some(1));
}

/// A `get` in a `select!` that is made and dropped for every turn of a loop.
#[tokio::test(start_paused = true)]
async fn a_get_in_a_select_loop_sees_every_key() {
    let queue = WorkQueue::<u32>::default();
    let producer = queue.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for key in 0..100 {
            producer.add_after(key, Duration::from_millis(u64::from(key * 7 % 100)));
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        producer.drain_all().await;
    });
    let mut seen = HashSet::new();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => {}
            item = queue.get() => match item {
                Some(item) => assert!(seen.insert(*item)),
                None => break,
            },
        }
    }
    assert_eq!(seen.len(), 100);
    tasks.join_all().await;
}

/// Real threads: impatient and patient workers, and producers that use every way in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_impatient_workers_run_everything() {
    const KEYS: u32 = 200;
    let queue = WorkQueue::<u32>::default();
    let in_hand: Arc<[AtomicU32]> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
    let seen: Arc<[AtomicU32]> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
    let mut workers = JoinSet::new();
    for worker in 0..8_u32 {
        let (queue, in_hand, seen) = (queue.clone(), Arc::clone(&in_hand), Arc::clone(&seen));
        workers.spawn(async move {
            loop {
                let patience = Duration::from_micros(u64::from(50 + 100 * worker));
                let item = match timeout(patience, queue.get()).await {
                    Ok(Some(item)) => item,
                    Ok(None) => break,
                    Err(_) => continue,
                };
                let key = *item as usize;
                assert_eq!(in_hand[key].fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                seen[key].fetch_add(1, Ordering::SeqCst);
                in_hand[key].fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
    let mut producers = JoinSet::new();
    for producer in 0..4 {
        let queue = queue.clone();
        producers.spawn(async move {
            for round in 0..50 {
                for key in 0..KEYS {
                    match (key + round + producer) % 8 {
                        0 => queue.add_after(key, Duration::from_micros(300)),
                        1 if round == 0 => queue.add_rate_limited(key),
                        _ => queue.add(key),
                    }
                }
                tokio::task::yield_now().await;
            }
        });
    }
    producers.join_all().await;
    let drained = timeout(Duration::from_secs(60), queue.drain_all()).await;
    assert_eq!(drained, Ok(Drained::Complete));
    workers.join_all().await;
    assert!(seen.iter().all(|runs| runs.load(Ordering::SeqCst) > 0));
}
