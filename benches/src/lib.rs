//! What the benches share: child processes and what they cost, load, and what a server counted.

mod cluster;
mod ledger;
mod process;
mod requests;
mod workload;

pub use cluster::{Cluster, client_config};
pub use ledger::Ledger;
pub use process::{Cost, Process, build};
pub use requests::RequestCounts;
pub use workload::{Converged, ReplicaSets};
