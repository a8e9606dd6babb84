//! The parts of the agent that wait: what watches pods, what runs their workers, and the loop
//! between them. All of it under paused time.

#![expect(
    clippy::unwrap_used,
    reason = "rigs are made of helpers that are no tests themselves"
)]

mod fixtures;
#[path = "../core/pods.rs"]
mod pods;

mod container_gc;

mod pleg_cache;
mod pleg_evented;
mod pleg_generic;
mod pleg_on_demand;
mod pleg_properties;

mod sync_loop;

mod worker_pool;
mod worker_properties;
mod worker_rig;
mod worker_turns;
