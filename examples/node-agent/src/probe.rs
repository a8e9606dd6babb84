//! What probes say of containers.

mod result;

pub use result::{ProbeKind, ProbeOutcome, ProbeResults, ProbeUpdate};
