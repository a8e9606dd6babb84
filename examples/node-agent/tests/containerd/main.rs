//! The agent and its runtime manager against containerds of their own.

#![expect(
    clippy::unwrap_used,
    reason = "tests are made of helpers that are no tests themselves"
)]

mod cgroups;
mod manager;
