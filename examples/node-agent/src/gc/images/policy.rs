use std::time::Duration;

/// When images are removed, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageGcPolicy {
    /// How full the disk is, in percent, when images are removed; with 100 they never are for
    /// want of room. Default: 85.
    pub high_threshold: u8,
    /// Down to where. Default: 80.
    pub low_threshold: u8,
    /// How long an image is kept though nobody uses it. Default: 2 min.
    pub min_age: Duration,
    /// After which time an unused image goes whatever room there is. Default: never.
    pub max_age: Option<Duration>,
}

/// A policy that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// There is no such percentage.
    #[error("invalid threshold {0}, must be in range [0-100]")]
    OutOfRange(u8),
    /// The lower threshold is the higher one.
    #[error("LowThresholdPercent {low} can not be higher than HighThresholdPercent {high}")]
    Crossed {
        /// The lower threshold.
        low: u8,
        /// The higher threshold.
        high: u8,
    },
}

impl Default for ImageGcPolicy {
    fn default() -> Self {
        Self {
            high_threshold: 85,
            low_threshold: 80,
            min_age: Duration::from_secs(120),
            max_age: None,
        }
    }
}

impl ImageGcPolicy {
    /// Checks that the policy makes sense.
    ///
    /// # Errors
    ///
    /// What does not.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        let (low, high) = (self.low_threshold, self.high_threshold);
        for threshold in [high, low] {
            if threshold > 100 {
                return Err(InvalidPolicy::OutOfRange(threshold));
            }
        }
        if low > high {
            return Err(InvalidPolicy::Crossed { low, high });
        }
        Ok(())
    }

    /// How many bytes are to be freed on a disk of this capacity; `None` if there is room.
    pub fn to_free(&self, capacity: u64, available: u64) -> Option<u64> {
        let capacity = u128::from(capacity);
        let available = u128::from(available).min(capacity);
        if capacity == 0 {
            return None;
        }
        let used_percent = 100 - available * 100 / capacity;
        if used_percent < u128::from(self.high_threshold) {
            return None;
        }
        let wanted = capacity * (100 - u128::from(self.low_threshold.min(100))) / 100;
        u64::try_from(wanted.saturating_sub(available)).ok()
    }
}
