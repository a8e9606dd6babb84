//! A container runtime in memory, for tests of what drives one.
//!
//! [`FakeRuntime`] keeps sandboxes, containers and images as a real runtime does, on tokio's clock
//! and with ids from a seed, so that a test under paused time is the same at every run.
//! A [`Behaviour`] says how the containers of a name live and die, a [`Fault`] what befalls the next
//! calls, and every [`Call`] is recorded in order.
//!
//! # Guarantees
//!
//! - What a real runtime refuses is refused: names that are taken, containers in sandboxes that are
//!   not ready, starting what does not merely stand created, statuses of what is not there.
//! - Stopping and removing may be repeated, and what is not there counts as removed.
//! - Containers end at the instant that their behaviour says, whether or not anybody calls.
//! - No task, thread, socket or file: a fake is memory alone.
//!
//! # What it does not do
//!
//! Nothing is run, logged or measured: log paths are told and no file is there, statistics are zero.
//! `Exec`, `Attach` and `PortForward` are answered with Unimplemented.

mod fake;

mod behaviour;
mod call;
mod fault;

mod events;
mod filter;
mod services;
mod state;
mod views;

pub use behaviour::{Behaviour, Exec, OnStop};
pub use call::Call;
pub use fake::{FakeOptions, FakeRuntime};
pub use fault::Fault;
