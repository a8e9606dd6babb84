//! How much does the loop itself add to a reconcile?
//!
//! 200,000 keys wait in the queue of a controller whose reconciler does nothing. The time from the
//! start of the workers until all are done, divided by the keys; with four workers on a runtime of
//! two threads, without and with a memory of own writes.
//! kube-runtime 5.0 took 4 to 10 µs per reconcile on 2 cores.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubewright_controller::{Action, Controller, ControllerConfig, OwnWrites, Request};
use kubewright_informer::ObjectKey;
use tokio::runtime::Builder;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const KEYS: usize = 200_000;
const ROUNDS: usize = 5;

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    for (name, own_writes) in [("plain", None), ("own writes", Some(OwnWrites::new()))] {
        let mut results: Vec<f64> = (0..ROUNDS)
            .map(|_| runtime.block_on(round(own_writes.clone())))
            .collect();
        results.sort_by(f64::total_cmp);
        println!(
            "{name}: {:.0} ns per reconcile, best {:.0}",
            results[ROUNDS / 2],
            results[0]
        );
    }
}

async fn round(own_writes: Option<OwnWrites>) -> f64 {
    let mut config = ControllerConfig::default();
    config.concurrency = NonZeroUsize::new(4).expect("it is not zero");
    config.own_writes = own_writes;
    let controller = Controller::new("bench", config);
    let enqueue = controller.enqueue();
    for nth in 0..KEYS {
        enqueue.add(ObjectKey::namespaced("default", &format!("object-{nth}")));
    }
    let token = CancellationToken::new();
    let left = Arc::new(AtomicUsize::new(KEYS));
    let stop = token.clone();
    let reconcile = move |_: Request| {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            stop.cancel();
        }
        std::future::ready(Ok::<_, Infallible>(Action::done()))
    };
    let start = Instant::now();
    controller
        .run(reconcile, token)
        .await
        .expect("it stops cleanly");
    let nanos = start.elapsed().as_nanos();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_key = nanos as f64 / KEYS as f64;
    per_key
}
