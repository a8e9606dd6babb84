//! What happens, one thing after the other: the sync loop.
//!
//! Five channels come together in it: what sources want, what happens in the runtime, what probes
//! come to, and two tickers. Each thing is handed to a [`SyncHandler`], and the next is not taken
//! before that has returned.

mod handler;
mod health;
mod inputs;
mod options;
mod run;

pub use handler::SyncHandler;
pub use health::{StaleSyncLoop, SyncLoopHealth};
pub use inputs::SyncLoopChannels;
pub use options::SyncLoopOptions;
pub use run::SyncLoop;
