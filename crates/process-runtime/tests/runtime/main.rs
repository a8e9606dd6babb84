//! The runtime with real processes: one program, since all of it needs the same.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod exec;
mod full_disk;
mod lifecycle;
mod logs;
mod restart;
mod streams;
mod support;
mod surroundings;
