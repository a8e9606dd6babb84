//! A fair, de-duplicating, delaying and rate-limiting work queue for tokio.
//!
//! It answers to client-go's `workqueue` (as of Kubernetes 1.36), and knows nothing of Kubernetes.
//!
//! # The contract
//!
//! - **De-duplicated**: any number of adds of a key before it is handed out are one run.
//! - **Never twice at once**: a key that is being processed is handed out to nobody else.
//! - **Exactly one rerun**: any number of adds of a key while it is being processed are one more
//!   run, queued when the present one is done.
//! - **Fair**: keys are handed out in the order in which they became ready. A rerun goes to the end.
//! - **Delays**: a key has one deadline of [`add_after`](WorkQueue::add_after); of two, the earlier
//!   wins, and meeting one deadline of a key settles all its others. Keys become ready in the order
//!   of their deadlines, deadlines of one instant in the order in which they were set.
//! - **Retries**: [`add_rate_limited`](WorkQueue::add_rate_limited) first waits for the key's own
//!   delay, then in line for a token. Everything else overtakes the line, no token is ever reserved,
//!   and a retry that a run overtook takes no token and causes no run.
//! - **A guard is a run**: [`get`](WorkQueue::get) returns a [`WorkItem`]; dropping it, by a panic as
//!   well, is the end of the run.
//! - **Shutdown**: the queue takes nothing more, hands out what is ready and what is to run again,
//!   and then says `None`, for ever. [`drain`](WorkQueue::drain) also waits until that is done,
//!   [`drain_all`](WorkQueue::drain_all) waits for the delayed too.
//! - **No task of its own**: a waiting `get` drives the timers. What became due while no `get` waits
//!   shows up in [`len`](WorkQueue::len) and in the metrics with the next call that looks.
//! - **Cancel safe**: a dropped `get` loses no key and no wake-up.
//! - **Bounded**: memory is proportional to the most keys there were in the queue since it was last
//!   empty, plus those with failures that were not [forgotten](WorkQueue::forget). An empty queue
//!   gives it back.
//! - **Quick**: keys are hashed once per call and outside of all locks, nothing is allocated for a
//!   plain add or get, and while all workers are busy producers leave their adds in a small inbox
//!   instead of contending for the queue.
//!
//! # Where it differs from client-go
//!
//! | | client-go | here |
//! |---|---|---|
//! | end of a run | `Done(item)`, also for items never handed out | the guard's drop |
//! | drain | waits for `processing` only, a second waiter may hang | waits for queued and processing; all waiters return |
//! | "shut down" seen by a worker | may be followed by further items | is final |
//! | bucket | reserves without bound when an item is added | a token is taken when the key's turn comes |
//! | retry of a key that ran meanwhile | runs it again | is settled by that run |
//! | delayed adds | a task, a channel of 1000 that blocks the caller, a heartbeat of 10 s | a heap under the queue's lock |
//! | unfinished work | a task that ticks every 500 ms | [`report_unfinished`](WorkQueue::report_unfinished) |
//!
//! # Example
//!
//! ```
//! use kubewright_workqueue::WorkQueue;
//!
//! async fn work(key: &str) -> Result<(), &'static str> {
//!     if key == "broken" { Err("it will not do") } else { Ok(()) }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let queue = WorkQueue::default();
//! queue.add("fine");
//! queue.add("broken");
//!
//! let mut failures = 0;
//! while let Some(item) = queue.get().await {
//!     match work(item.key()).await {
//!         Ok(()) => queue.forget(item.key()),
//!         Err(_) => {
//!             failures += 1;
//!             queue.add_rate_limited(*item.key());
//!         }
//!     }
//!     if failures == 3 {
//!         queue.shutdown();
//!     }
//! }
//! assert_eq!(queue.num_requeues(&"broken"), 3);
//! # }
//! ```

mod queue;

mod cause;
mod item;
mod key;

mod config;

mod bucket;
mod limiter;

mod metrics;
mod stats;

mod error;

mod engine;
mod inbox;
mod shared;
mod state;
mod sync;
mod waiters;

#[cfg(test)]
mod interleavings;

pub use bucket::TokenBucket;
pub use cause::Cause;
pub use config::QueueConfig;
pub use error::ConfigError;
pub use item::WorkItem;
pub use key::Key;
pub use limiter::{FastSlow, ItemExponential, MaxOf, MaxWait, RateLimiter};
pub use metrics::QueueMetrics;
pub use queue::{Drained, WorkQueue};
pub use stats::QueueStats;
