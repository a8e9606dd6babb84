use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often values were seen, by size.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Upper bounds in order, and how many values were above the bound before and not above this.
    buckets: Box<[(f64, AtomicU64)]>,
    /// How many values were above all bounds.
    above: AtomicU64,
    /// The bits of the sum of all values.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: impl Iterator<Item = f64>) -> Self {
        Self {
            buckets: bounds.map(|bound| (bound, AtomicU64::new(0))).collect(),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, value: f64) {
        let bucket = self.buckets.partition_point(|(bound, _)| *bound < value);
        let count = self
            .buckets
            .get(bucket)
            .map_or(&self.above, |(_, count)| count);
        count.fetch_add(1, Ordering::Relaxed);
        let mut sum = self.sum.load(Ordering::Relaxed);
        loop {
            let next = (f64::from_bits(sum) + value).to_bits();
            match self
                .sum
                .compare_exchange_weak(sum, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(present) => sum = present,
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|(_, count)| count);
        let counts = counts.chain([&self.above]);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// Writes the histogram as Prometheus reads it; `labels` are those of every line.
    pub(super) fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        labels: &str,
    ) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let braced = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        writeln!(f, "# TYPE {name} histogram")?;
        let mut total = 0;
        for (bound, count) in &self.buckets {
            total += count.load(Ordering::Relaxed);
            writeln!(f, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}")?;
        }
        let (count, sum) = (self.count(), self.sum());
        writeln!(f, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}")?;
        writeln!(f, "{name}_sum{braced} {sum}\n{name}_count{braced} {count}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Written(Histogram);

    impl fmt::Display for Written {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write(f, "x", "")
        }
    }

    #[test]
    fn buckets_hold_all_that_is_not_above_their_bound() {
        let histogram = Histogram::new([0.25, 1.0, 8.0].into_iter());
        for value in [0.1, 1.0, 1.5, 100.0] {
            histogram.observe(value);
        }
        assert_eq!(
            Written(histogram).to_string(),
            "# TYPE x histogram\n\
             x_bucket{le=\"0.25\"} 1\n\
             x_bucket{le=\"1\"} 2\n\
             x_bucket{le=\"8\"} 3\n\
             x_bucket{le=\"+Inf\"} 4\n\
             x_sum 102.6\n\
             x_count 4\n"
        );
    }
}
