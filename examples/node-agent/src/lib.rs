//! A small but real kubelet: the pods of one node, run on a container runtime over CRI.
//!
//! ```text
//!  API server ─┐
//!  files ──────┼─▶ sources ─▶ merge ──updates──▶ sync loop ──▶ pod workers ──▶ runtime manager ──▶ CRI
//!  HTTP ───────┘                                 ▲  ▲  ▲         (one per uid)    │    ▲
//!                            probe results ──────┘  │  └── PLEG ◀── relist ───────┼────┘
//!                                       ticks ──────┘                             ▼
//!                                          status manager ──patch──▶ API server  volumes, logs
//! ```
//!
//! # The parts
//!
//! - [`config`]: how the agent works, from flags and a file.
//! - [`source`]: where pods come from, and how what is wanted changes.
//! - [`pod`]: what a pod is to the agent: its identity, and what its spec and metadata say.
//! - [`sync_loop`]: what happens, one thing after the other, and who handles it.
//! - [`admission`], [`deadline`], [`shutdown`]: whether a pod may run here, for how long, and which
//!   pods end first when the machine is shut down.
//! - [`worker`]: what a pod's worker does next, and the tasks that do it.
//! - [`runtime`]: what a container runtime is asked, and what it says of pods.
//! - [`pleg`]: what happens to the containers of pods.
//! - [`gc`]: what is collected when nobody needs it any more.
//! - [`probe`]: what probes say of containers.
//! - [`status`]: what the API server is told of a pod, and [`mirror`]: how it comes to know static ones.
//! - [`node`]: what the API server is told of the machine.
//! - [`client`]: the ways to the API server.
//! - [`event`]: what people are told.
//! - [`log`]: what containers write, and that it does not grow for ever.
//! - [`server`]: the API of the node, who may use it, and whether the agent is well.
//! - [`environment`], [`network`], [`resources`], [`security`], [`volume`]: all that goes into the
//!   configuration of a sandbox and its containers, from specs and the [`objects`] they refer to.
//! - [`eviction`]: how pods are ended before the node runs out of something.
//! - [`yaml`]: how manifests and configuration files are read; [`moment`]: what time is measured by.
//! - [`systemd`]: what the service manager is told.
//!
//! # Invariants
//!
//! - All truth about containers is in the labels and annotations that the runtime keeps. An agent
//!   that is killed and started again finds its containers and restarts none of them.
//! - One pod uid has one worker, and a pod goes one way: it is synced, then terminated, then gone.
//! - What is decided waits for nothing: engines take `now` and events and return what is to be done.

pub mod admission;
pub mod agent;
pub mod client;
pub mod config;
pub mod deadline;
pub mod environment;
pub mod event;
pub mod eviction;
pub mod gc;
pub mod log;
pub mod mirror;
pub mod moment;
pub mod network;
pub mod node;
pub mod objects;
pub mod pleg;
pub mod pod;
pub mod probe;
pub mod resources;
pub mod runtime;
pub mod security;
pub mod server;
pub mod shutdown;
pub mod source;
pub mod status;
pub mod sync_loop;
pub mod systemd;
pub mod volume;
pub mod worker;
pub mod yaml;

mod causes;
mod names;
mod patch;
mod task;
mod warning;

pub use warning::Warning;
