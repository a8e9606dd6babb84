use std::num::NonZeroUsize;
use std::time::Duration;

use crate::gates::FeatureGates;

/// How the controller works; the defaults are those of kube-controller-manager 1.36.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many sets are synced at the same time. Default: 5.
    pub workers: NonZeroUsize,
    /// How many pods of a set are created or deleted before the outcome is awaited.
    /// Default: 500.
    pub burst: NonZeroUsize,
    /// How many pods are created in the first batch, before batches double. Default: 1.
    pub initial_batch: NonZeroUsize,
    /// How long the events of created and deleted pods are awaited before a set is synced
    /// without them. Default: 5 minutes.
    pub expectations_timeout: Duration,
    /// How long an API call may take. Default: 90 s, half as long again as an API server takes
    /// before it gives up on a request by itself.
    pub request_timeout: Duration,
    /// The feature gates.
    pub gates: FeatureGates,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: NonZeroUsize::new(5).expect("five is not zero"),
            burst: NonZeroUsize::new(500).expect("five hundred is not zero"),
            initial_batch: NonZeroUsize::MIN,
            expectations_timeout: Duration::from_secs(5 * 60),
            request_timeout: Duration::from_secs(90),
            gates: FeatureGates::default(),
        }
    }
}
