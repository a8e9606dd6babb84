//! What the crate promises, through its public interface, under paused time.
//!
//! One target, so that it is linked once; one module per topic.

mod defects;
mod reflector;
mod rig;
