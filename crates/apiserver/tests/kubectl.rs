//! kubectl drives the program: what people type, and what they see.
//!
//! Needs kubectl 1.29 or newer on PATH. Where there is none, every test says so on standard
//! error, loudly, and ends, or fails if `KUBEWRIGHT_KUBECTL` is `required`;
//! `tests/api/kubectl_requests.rs` replays what kubectl sends without it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "kubectl/commands.rs"]
mod commands;
#[path = "program/process.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the program, which use all of it"
)]
mod process;
#[path = "kubectl/tool.rs"]
mod tool;
