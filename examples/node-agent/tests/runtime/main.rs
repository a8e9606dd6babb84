//! The runtime manager against a runtime in memory, under paused time.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

#[path = "../sockets/taken_port.rs"]
mod taken_port;

mod fixtures;

mod configs;
mod observing;
mod sandboxes;
mod syncing;

mod backing_off;
mod hooks;
mod images;
mod killing;
mod removing;

mod chaos;
mod faults;
