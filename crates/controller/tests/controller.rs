//! The reconcile loop, with sources in memory and under paused time.

#[path = "controller/outcomes.rs"]
mod outcomes;
#[path = "controller/relist.rs"]
mod relist;
#[path = "controller/sources.rs"]
mod sources;
#[path = "controller/staleness.rs"]
mod staleness;
#[path = "controller/stopping.rs"]
mod stopping;
#[path = "controller/telemetry.rs"]
mod telemetry;
#[path = "controller/world.rs"]
mod world;
