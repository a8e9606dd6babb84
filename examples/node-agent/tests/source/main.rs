//! Where pods come from: what manifests are, what each source delivers, and what a set means.
//!
//! Tests with the names of upstream tests (in snake case) answer to those of `pkg/kubelet/config`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../sockets/taken_port.rs"]
mod taken_port;

mod pods;
mod web;

mod api_test;
mod driver_test;
mod file_test;
mod http_test;
mod manifest_test;
mod merge_test;
