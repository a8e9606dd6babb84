//! What probes say of containers.
//!
//! ```text
//!  ProbeManager ──start, stop──▶ worker (one per container and kind) ──▶ Prober ──▶ target
//!       ▲                          │                                        │
//!       └── result ◀── results ◀───┘──changes──▶ sync loop                  └──▶ events
//! ```
//!
//! A worker's decisions are [`ProbeEngine`]'s: it is synchronous, and the task around it waits for
//! the next period and for the answer.

mod ask;
mod engine;
mod grpc;
mod http;
mod manager;
mod prober;
mod result;
mod shared;
mod target;
mod tcp;
mod worker;

pub use ask::{Answer, Ask, ProbeError, Question, Targets};
pub use engine::{Next, ProbeEngine, ResultEffect};
pub use http::{HttpClient, HttpPurpose, HttpTarget};
pub use manager::{ProbeDriver, ProbeManager, ProbeOptions, Statuses};
pub use prober::Prober;
pub use result::{ProbeKind, ProbeOutcome, ProbeResults, ProbeUpdate};
pub use target::{Target, TargetError, container_port};
