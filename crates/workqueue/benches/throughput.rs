//! How long does an add take, everything included, while workers keep up?
//!
//! 1,000,000 adds over 100,000 keys from 8 producer tasks; 8 worker tasks take the keys and drop
//! them at once. The time from the first add until the queue is drained, divided by the adds.
//! client-go 1.36 took 285 to 373 ns for the same on 2 cores (there with goroutines).

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubewright_workqueue::{Drained, WorkQueue};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ADDS: usize = 1_000_000;
const KEYS: usize = 100_000;
const PRODUCERS: usize = 8;
const WORKERS: usize = 8;
const ROUNDS: usize = 7;

fn main() {
    let keys: Arc<[Arc<str>]> = (0..KEYS)
        .map(|i| Arc::from(format!("namespace-{}/object-{i}", i % 100)))
        .collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let mut results: Vec<(f64, usize)> = (0..ROUNDS)
        .map(|_| runtime.block_on(round(&keys)))
        .collect();
    results.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (nanos, runs) in &results {
        println!("{nanos:6.1} ns per add, {runs} runs");
    }
    println!(
        "median {:.1} ns per add on {threads} threads",
        results[ROUNDS / 2].0
    );
}

async fn round(keys: &Arc<[Arc<str>]>) -> (f64, usize) {
    let queue = WorkQueue::<Arc<str>>::default();
    let runs = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (queue, runs) = (queue.clone(), Arc::clone(&runs));
        workers.spawn(async move {
            let mut mine = 0;
            while let Some(item) = queue.get().await {
                mine += 1;
                drop(item);
            }
            runs.fetch_add(mine, Ordering::Relaxed);
        });
    }
    let mut producers = JoinSet::new();
    let start = Instant::now();
    for producer in 0..PRODUCERS {
        let (queue, keys) = (queue.clone(), Arc::clone(keys));
        producers.spawn(async move {
            let per_producer = ADDS / PRODUCERS;
            for add in 0..per_producer {
                let nth = producer * per_producer + add;
                queue.add(Arc::clone(&keys[nth.wrapping_mul(7919) % KEYS]));
                if add % 1000 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while producers.join_next().await.is_some() {}
    assert_eq!(queue.drain().await, Drained::Complete);
    let nanos = start.elapsed().as_nanos();
    while workers.join_next().await.is_some() {}
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_add = nanos as f64 / ADDS as f64;
    (per_add, runs.load(Ordering::Relaxed))
}
