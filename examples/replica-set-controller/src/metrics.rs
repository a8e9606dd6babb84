use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kubewright_controller::ControllerMetrics;
use kubewright_workqueue::QueueMetrics;

use crate::pod::PodView;

mod histogram;

use histogram::Histogram;

/// What the controller counts, under kube-controller-manager's names.
///
/// [`Display`](fmt::Display) writes them in Prometheus' text format.
#[derive(Debug)]
pub struct Metrics {
    deletion_age_ratio: Histogram,
    stale_pods: AtomicU64,
    stale_sets: AtomicU64,
    queue: QueueCounts,
}

/// What the queue tells of itself.
#[derive(Debug)]
struct QueueCounts {
    depth: AtomicI64,
    adds: AtomicU64,
    retries: AtomicU64,
    waited: Histogram,
    worked: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        // Ten nanoseconds to a thousand seconds, in powers of ten.
        let durations = || Histogram::new((0..12).map(|power| 1e-8 * 10_f64.powi(power)));
        Self {
            deletion_age_ratio: Histogram::new((0..6).map(|power| 0.25 * 2_f64.powi(power))),
            stale_pods: AtomicU64::new(0),
            stale_sets: AtomicU64::new(0),
            queue: QueueCounts {
                depth: AtomicI64::new(0),
                adds: AtomicU64::new(0),
                retries: AtomicU64::new(0),
                waited: durations(),
                worked: durations(),
            },
        }
    }
}

impl Metrics {
    /// `sorting_deletion_age_ratio`: how many times as old as the youngest ready one of `pods`
    /// each ready one is that was `chosen` to be deleted.
    ///
    /// Around 1 says that the youngest go, as far as the order of deletion allows. Upstream divides
    /// integers here; this counts the fractions, too.
    pub fn observe_deletions(&self, pods: &[PodView], chosen: &[&PodView], now: Timestamp) {
        let age = |pod: &PodView| {
            let created = pod.meta().creation_timestamp()?;
            Some(now.duration_since(created).as_secs_f64())
        };
        let ready = pods.iter().filter(|pod| pod.is_ready());
        let youngest = ready.filter_map(age).min_by(f64::total_cmp);
        let Some(youngest) = youngest.filter(|age| *age > 0.0) else {
            return;
        };
        for age in chosen
            .iter()
            .filter(|pod| pod.is_ready())
            .filter_map(|pod| age(pod))
        {
            self.deletion_age_ratio.observe(age / youngest);
        }
    }

    /// `stale_sync_skips_total`: how often a sync was put off since the cache of pods, and since
    /// that of sets, had not seen the controller's own writes yet.
    pub fn stale_syncs(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.stale_pods), load(&self.stale_sets))
    }

    /// How many deletions were observed, and the sum of their ratios.
    pub fn deletion_age_ratios(&self) -> (u64, f64) {
        (
            self.deletion_age_ratio.count(),
            self.deletion_age_ratio.sum(),
        )
    }
}

impl ControllerMetrics for Metrics {
    fn deferrals_total(&self, store: &str) {
        let counter = match store {
            "pods" => &self.stale_pods,
            _ => &self.stale_sets,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl QueueMetrics for Metrics {
    fn depth(&self, change: i64) {
        self.queue.depth.fetch_add(change, Ordering::Relaxed);
    }

    fn adds_total(&self) {
        self.queue.adds.fetch_add(1, Ordering::Relaxed);
    }

    fn queue_duration_seconds(&self, waited: Duration) {
        self.queue.waited.observe(waited.as_secs_f64());
    }

    fn work_duration_seconds(&self, worked: Duration) {
        self.queue.worked.observe(worked.as_secs_f64());
    }

    fn retries_total(&self) {
        self.queue.retries.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "replicaset_controller_sorting_deletion_age_ratio";
        self.deletion_age_ratio.write(f, name, "")?;
        let name = "replicaset_controller_stale_sync_skips_total";
        let (pods, sets) = self.stale_syncs();
        writeln!(f, "# TYPE {name} counter")?;
        writeln!(f, "{name}{{group=\"\",resource=\"pods\"}} {pods}")?;
        writeln!(
            f,
            "{name}{{group=\"apps\",resource=\"replicasets\"}} {sets}"
        )?;
        self.queue.write(f, "name=\"replicaset\"")
    }
}

impl QueueCounts {
    fn write(&self, f: &mut fmt::Formatter<'_>, labels: &str) -> fmt::Result {
        let depth = self.depth.load(Ordering::Relaxed);
        writeln!(
            f,
            "# TYPE workqueue_depth gauge\nworkqueue_depth{{{labels}}} {depth}"
        )?;
        for (name, counter) in [("adds", &self.adds), ("retries", &self.retries)] {
            let count = counter.load(Ordering::Relaxed);
            writeln!(f, "# TYPE workqueue_{name}_total counter")?;
            writeln!(f, "workqueue_{name}_total{{{labels}}} {count}")?;
        }
        self.waited
            .write(f, "workqueue_queue_duration_seconds", labels)?;
        self.worked
            .write(f, "workqueue_work_duration_seconds", labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.deferrals_total("pods");
        metrics.adds_total();
        metrics.depth(1);
        metrics.queue_duration_seconds(Duration::from_millis(1));
        let text = metrics.to_string();
        for line in [
            "replicaset_controller_sorting_deletion_age_ratio_count 0",
            "replicaset_controller_stale_sync_skips_total{group=\"\",resource=\"pods\"} 1",
            "replicaset_controller_stale_sync_skips_total{group=\"apps\",resource=\"replicasets\"} 0",
            "workqueue_depth{name=\"replicaset\"} 1",
            "workqueue_adds_total{name=\"replicaset\"} 1",
            "workqueue_queue_duration_seconds_bucket{name=\"replicaset\",le=\"0.01\"} 1",
            "workqueue_queue_duration_seconds_count{name=\"replicaset\"} 1",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
