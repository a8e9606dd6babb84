//! The kubewright-apiserver program: its flags, its files, its signals and its endpoint.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "program/flags.rs"]
mod flags;
#[path = "program/process.rs"]
mod process;
#[path = "program/serving.rs"]
mod serving;
