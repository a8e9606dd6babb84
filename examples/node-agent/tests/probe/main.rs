//! Probes: what they ask, what is made of the answers, and who is told.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

#[path = "../sockets/taken_port.rs"]
mod taken_port;

mod fixtures;

mod engine;
mod grpc;
mod http;
mod manager;
mod prober;
mod targets;
