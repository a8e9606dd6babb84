//! A whole small cluster in one program, with real processes as pods.
//!
//! ```text
//!              ┌──────── ReplicaSet controller: wants pods
//!  API server ◀┼──────── scheduler: binds them to the node
//!   ▲      │   └──────── node agent: runs them, and says what became of them
//!   │      └─ logs, exec, port-forward ─▶ │
//!  kubectl                              CRI ─▶ processes, each in its shim, or a runtime's containers
//! ```
//!
//! - [`Cluster`]: all of it, started and stopped together.
//! - [`scheduler`]: which pod goes to which node.
//! - [`web`]: what the pods run, which is this very program in another role.
//! - [`Tour`]: what is shown, and checked through the API and by process id.
//! - [`Census`]: who runs, by name, container id and process id.

pub mod scheduler;
pub mod web;

mod cluster;

mod census;
mod process;
mod tour;
mod workload;

mod root_dir;

pub use census::{Census, Member};
pub use cluster::{Cluster, ClusterConfig, RuntimeChoice};
pub use root_dir::RootDir;
pub use tour::Tour;
pub use workload::{NAME, NAMESPACE, Program, replica_set};
