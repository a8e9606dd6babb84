//! The whole agent against a runtime and an API server in memory, under paused time: whole lives of
//! pods, and what befalls them.
//!
//! Invariants are looked at after every step; a failure tells the seed.

#![expect(
    clippy::unwrap_used,
    reason = "tests are made of helpers that are no tests themselves"
)]

mod invariants;
mod world;

mod back_offs;
mod clocks;
mod life;
mod node;
mod run_once;
mod static_pods;
mod wrong_input;

mod adoption;
mod api_faults;
mod runtime_faults;
mod schedule;

mod bugs;
mod crowd;
mod determinism;
mod growth;
