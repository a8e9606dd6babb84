//! Which pod goes to which node.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixtures;
mod places;
mod properties;
mod running;
