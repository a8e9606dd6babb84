use std::time::Duration;

/// How the sync loop goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncLoopOptions {
    /// How often pods whose time has come are looked for. Default: 1 s.
    pub sync_period: Duration,
    /// How often is cleaned up. Default: 2 s.
    pub housekeeping_period: Duration,
    /// How long a clean-up may take before it is remarked on. Default: 1 s.
    pub housekeeping_warning: Duration,
    /// How long the loop waits if the runtime is not well; twice as long each time. Default: 100 ms.
    pub initial_error_backoff: Duration,
    /// How long it waits at most. Default: 5 s.
    pub max_error_backoff: Duration,
}

impl Default for SyncLoopOptions {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(1),
            housekeeping_period: Duration::from_secs(2),
            housekeeping_warning: Duration::from_secs(1),
            initial_error_backoff: Duration::from_millis(100),
            max_error_backoff: Duration::from_secs(5),
        }
    }
}
