//! Pods are ended before the node runs out of memory or disk.
//!
//! [`EvictionEngine`] says from observations which signal is met and which conditions the node is
//! in; [`rank`] says which pod goes first; [`eviction_message`] and [`local_storage_excess`] say
//! why. All are pure. [`EvictionManager`] observes, reclaims and kills.
//!
//! Soft thresholds, minimum reclaims and notifications by cgroups are not supported.

mod engine;
mod host;
mod limits;
mod manager;
mod message;
mod node;
mod ranking;
mod signal;
mod usage;

pub use engine::{EvictionEngine, MetThreshold};
pub use host::{EvictionError, EvictionHost};
pub use limits::local_storage_excess;
pub use manager::{
    ActivePods, EvictionManager, EvictionOptions, EvictionParts, KillPod, is_evicted,
};
pub use message::eviction_message;
pub use node::{NodeHost, Reclaim};
pub use ranking::rank;
pub use signal::{Observation, Observations, Signal, Starved};
pub use usage::{ContainerUsage, PodUsage};
