use std::time::Duration;

/// How pods are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlegOptions {
    /// How long after one list of all pods the next one is made. Default: 1 s.
    pub relist_period: Duration,
    /// How old the last list may be before the agent is not well. Default: 3 min.
    pub relist_threshold: Duration,
    /// Whether a pod that somebody [asks for](super::Pleg::request_relist) is looked at before the
    /// next list. Default: yes. The agent has the gate `PLEGOnDemandRelist` decide.
    pub on_demand_relist: bool,
    /// How many events may wait for the sync loop; above that they are dropped. Default: 1000.
    pub event_capacity: usize,
    /// [`relist_period`](Self::relist_period) while the runtime sends events. Default: 300 s.
    pub evented_relist_period: Duration,
    /// [`relist_threshold`](Self::relist_threshold) while the runtime sends events. Default: 10 min.
    pub evented_relist_threshold: Duration,
    /// How often what is known counts as new while the runtime sends events. Default: 5 s.
    pub evented_cache_period: Duration,
    /// After how many streams in a row that brought no event the runtime is not asked for one any
    /// more. Default: 5.
    pub evented_max_failures: u32,
}

impl Default for PlegOptions {
    fn default() -> Self {
        Self {
            relist_period: Duration::from_secs(1),
            relist_threshold: Duration::from_secs(180),
            on_demand_relist: true,
            event_capacity: 1000,
            evented_relist_period: Duration::from_secs(300),
            evented_relist_threshold: Duration::from_secs(600),
            evented_cache_period: Duration::from_secs(5),
            evented_max_failures: 5,
        }
    }
}
