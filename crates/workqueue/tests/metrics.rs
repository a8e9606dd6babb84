//! What the queue tells of itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubewright_workqueue::{QueueConfig, QueueMetrics, WorkQueue};
use tokio::time::advance;

#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    depth: i64,
    adds: u32,
    retries: u32,
    waited: Vec<Duration>,
    worked: Vec<Duration>,
    unfinished: Vec<Duration>,
    longest: Vec<Duration>,
}

#[derive(Default)]
struct Recorder(Mutex<Seen>);

impl Recorder {
    fn seen(&self) -> Seen {
        self.see(|seen| seen.clone())
    }

    fn see<T>(&self, see: impl FnOnce(&mut Seen) -> T) -> T {
        see(&mut self.0.lock().expect("no test panics while it holds this"))
    }
}

impl QueueMetrics for Recorder {
    fn depth(&self, change: i64) {
        self.see(|seen| seen.depth += change);
    }
    fn adds_total(&self) {
        self.see(|seen| seen.adds += 1);
    }
    fn queue_duration_seconds(&self, waited: Duration) {
        self.see(|seen| seen.waited.push(waited));
    }
    fn work_duration_seconds(&self, worked: Duration) {
        self.see(|seen| seen.worked.push(worked));
    }
    fn unfinished_work_seconds(&self, total: Duration) {
        self.see(|seen| seen.unfinished.push(total));
    }
    fn longest_running_processor_seconds(&self, longest: Duration) {
        self.see(|seen| seen.longest.push(longest));
    }
    fn retries_total(&self) {
        self.see(|seen| seen.retries += 1);
    }
}

fn measured() -> (WorkQueue<&'static str>, Arc<Recorder>) {
    let metrics = Arc::new(Recorder::default());
    let mut config = QueueConfig::default();
    config.metrics = Some(metrics.clone());
    (WorkQueue::new(config), metrics)
}

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// client-go `TestMetrics`: exact depths and durations.
#[tokio::test(start_paused = true)]
async fn test_metrics() {
    let (queue, metrics) = measured();
    queue.add("foo");
    assert_eq!((metrics.seen().adds, metrics.seen().depth), (1, 1));
    advance(us(50)).await;
    let item = queue.get().await.unwrap();
    assert_eq!(metrics.seen().waited, [us(50)]);
    assert_eq!(metrics.seen().depth, 0);

    for _ in 0..5 {
        queue.add("foo");
    }
    assert_eq!((metrics.seen().adds, metrics.seen().depth), (2, 1));
    advance(us(25)).await;
    drop(item);
    assert_eq!(metrics.seen().worked, [us(25)]);
    assert_eq!(metrics.seen().depth, 1);

    let item = queue.get().await.unwrap();
    assert_eq!(metrics.seen().waited, [us(50), us(25)]);
    advance(us(1000)).await;
    queue.report_unfinished();
    assert_eq!(metrics.seen().unfinished, [us(1000)]);
    assert_eq!(metrics.seen().longest, [us(1000)]);
    drop(item);
    assert_eq!(metrics.seen().worked, [us(25), us(1000)]);
}

/// client-go `TestMetricShutdown`: no report of unfinished work after a shutdown.
#[tokio::test(start_paused = true)]
async fn test_metric_shutdown() {
    let (queue, metrics) = measured();
    queue.report_unfinished();
    assert_eq!(metrics.seen().unfinished, [Duration::ZERO]);
    queue.shutdown();
    advance(Duration::from_secs(3600)).await;
    queue.report_unfinished();
    assert_eq!(metrics.seen().unfinished, [Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn unfinished_work_is_the_sum_and_the_longest() {
    let (queue, metrics) = measured();
    queue.add("foo");
    queue.add("bar");
    let foo = queue.get().await;
    advance(us(10)).await;
    let bar = queue.get().await;
    advance(us(5)).await;
    queue.report_unfinished();
    drop(foo);
    queue.report_unfinished();
    drop(bar);
    queue.report_unfinished();
    assert_eq!(metrics.seen().unfinished, [us(20), us(5), us(0)]);
    assert_eq!(metrics.seen().longest, [us(15), us(5), us(0)]);
}

/// A delayed key waits in the queue from its deadline on, though nobody looked then.
#[tokio::test(start_paused = true)]
async fn delays_are_retries_and_no_queueing() {
    let (queue, metrics) = measured();
    queue.add_after("foo", us(2000));
    queue.add_after("foo", us(3000));
    queue.add_rate_limited("bar");
    assert_eq!((metrics.seen().adds, metrics.seen().retries), (0, 3));
    advance(us(2500)).await;
    drop(queue.get().await);
    assert_eq!(metrics.seen().waited, [us(500)]);
    advance(us(4500)).await;
    drop(queue.get().await);
    assert_eq!(metrics.seen().waited, [us(500), us(2000)]);
    assert_eq!((metrics.seen().adds, metrics.seen().depth), (2, 0));
}
