//! What a pod's worker does next.
//!
//! Each pod uid has one worker, and it goes one way: it syncs the pod, terminates it, and cleans up
//! after it. [`WorkerState::decide`] is what an update does to one worker; [`PodWorkers`] is all of
//! them, with what they have to agree on. Nothing in them waits or runs: effects say what to do, and
//! [`WorkerPool`] does it, one task per pod, through a [`PodSyncer`].

mod effect;
mod grace;
mod known;
mod pool;
mod predicates;
mod state;
mod static_order;
mod syncer;
mod turn;
mod update;
mod workers;

pub use effect::{Delay, Effect, RetryDelays};
pub use grace::effective_grace;
pub use known::KnownWorker;
pub use pool::{KillWaitError, WorkerDriver, WorkerOptions, WorkerParts, WorkerPool};
pub use state::{Reaction, Stage, WorkerState};
pub use syncer::{PodSyncer, SyncTurn, Synced, TurnError};
pub use turn::{Failure, Outcome, Turn, Work};
pub use update::{Kill, KillCause, Subject, UpdateKind, Waiter, WorkerUpdate};
pub use workers::PodWorkers;
