//! The ways to the API server.
//!
//! There are three, from one configuration, so that what matters most never waits for what matters
//! less: pods and the objects they refer to, events, and heartbeats.

mod clients;
mod heartbeat;
mod throttle;

pub use clients::{ClientLimits, Clients};
pub use heartbeat::HeartbeatClient;
pub use throttle::{Throttle, ThrottleLayer};
