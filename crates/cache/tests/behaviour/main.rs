//! What the crate promises, through its public interface, under paused time.
//!
//! One target, so that it is linked once; one module per topic.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test's helpers fail as its tests do, and take `json!` values as they come"
)]

mod by_hand;
mod defects;
mod feeding;
mod fifo;
mod indexes;
mod kube;
mod listing;
mod model;
mod rig;
mod scanning;
mod store;
mod streaming;
mod transforming;
mod watching;
