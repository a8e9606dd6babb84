//! What the API server is told of a pod.
//!
//! [`api_status`] makes a status of what the runtime and the probes say; [`settle`] fits it to the
//! one before; [`merge`] puts it into what the API server has. All are pure.

mod conditions;
mod containers;
mod equality;
mod finality;
mod generate;
mod manager;
mod merge;
mod phase;
mod probed;
mod settle;
mod start_failures;
mod view;

pub use conditions::{
    CONTAINERS_READY, DISRUPTION_TARGET, INITIALIZED, READY, READY_TO_START_CONTAINERS, SCHEDULED,
    containers_ready_condition, initialized_condition, is_owned, needs_readiness_reconcile,
    ready_condition, ready_to_start_containers_condition,
};
pub use finality::finish;
pub use generate::{Eviction, StatusInputs, api_status};
pub use manager::{StatusManager, StatusWriter};
pub use merge::{Containers, merge};
pub use phase::{Course, pod_phase};
pub use settle::{IllegalTransition, settle};
pub use start_failures::{StartFailure, StartFailures};
