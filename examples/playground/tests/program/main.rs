//! The program as a process: what it shows, how it ends, and that it leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod flags;
mod kubectl;
mod process;
mod serves;
mod tours;
