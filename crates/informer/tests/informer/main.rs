//! What informers do, topic by topic, on a source in memory and under paused time.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped fails the test"
)]

mod abuse;
mod defects;
mod factory;
mod lifecycle;
mod lister;
mod mailboxes;
mod metrics;
mod model;
mod panics;
mod relist;
mod removal;
mod replay;
mod resync;
mod rig;
