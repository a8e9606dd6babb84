use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Observations, Signal};
use crate::config::Threshold;
use crate::node::Pressure;

/// Says what the node lacks.
///
/// Synchronous: it keeps no clock and kills nobody. Answers to the thresholds and conditions of
/// `eviction.managerImpl` of Kubernetes 1.36.
#[derive(Clone, Debug)]
pub struct EvictionEngine {
    thresholds: BTreeMap<Signal, Threshold>,
    transition: Duration,
    /// When the node was last seen to lack something.
    last_seen: BTreeMap<Pressure, Instant>,
}

/// A threshold that was met: there is less than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetThreshold {
    /// Of what.
    pub signal: Signal,
    /// What there should be.
    pub threshold: u64,
    /// What there is.
    pub available: u64,
}

impl EvictionEngine {
    /// An engine for these thresholds, by the names of signals; a condition stays for `transition`
    /// after its cause has gone.
    ///
    /// Names that are no signals are left out: configuration is validated before.
    pub fn new(thresholds: &BTreeMap<String, Threshold>, transition: Duration) -> Self {
        let known = thresholds
            .iter()
            .filter_map(|(name, threshold)| Some((Signal::named(name)?, *threshold)));
        Self {
            thresholds: known.collect(),
            transition,
            last_seen: BTreeMap::new(),
        }
    }

    /// Takes in what was seen; the thresholds that are met, in the order in which they are to be
    /// answered.
    pub fn observe(&mut self, observations: &Observations, now: Instant) -> Vec<MetThreshold> {
        let met: Vec<_> = self.met(observations).collect();
        for met in &met {
            self.last_seen.insert(met.signal.pressure(), now);
        }
        met
    }

    /// The conditions that the node is in.
    pub fn pressures(&self, now: Instant) -> BTreeSet<Pressure> {
        let last_seen = self.last_seen.iter();
        last_seen
            .filter(|(_, at)| now <= **at || now.duration_since(**at) < self.transition)
            .map(|(pressure, _)| *pressure)
            .collect()
    }

    /// Whether a threshold is met.
    pub fn is_met(&self, signal: Signal, observations: &Observations) -> bool {
        self.met(observations).any(|met| met.signal == signal)
    }

    fn met(&self, observations: &Observations) -> impl Iterator<Item = MetThreshold> {
        self.thresholds.iter().filter_map(|(signal, threshold)| {
            let seen = observations.get(signal)?;
            let threshold = threshold.of(seen.capacity);
            (seen.available < threshold).then_some(MetThreshold {
                signal: *signal,
                threshold,
                available: seen.available,
            })
        })
    }
}
