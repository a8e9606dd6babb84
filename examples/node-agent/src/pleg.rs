//! What happens to the containers of pods: the pod lifecycle event generator, PLEG.
//!
//! ```text
//!  runtime ──list, observe──▶ PlegDriver ──Observation──▶ PodCache ◀── pod workers, status
//!     └──────events─────────▶     │
//!                                 └──PodLifecycleEvent──▶ sync loop
//! ```
//!
//! All pods are listed every second; those in which something changed are looked at closely. One
//! pod can be [asked for](Pleg::request_relist), and is then looked at at once. With a runtime that
//! sends events, lists are rare, and its events say which pods to look at.

mod cache;
mod driver;
mod event;
mod handle;
mod options;
mod records;
mod relist;
mod stream;

pub use cache::{Observation, PodCache, Stamp};
pub use driver::PlegDriver;
pub use event::{LifecycleChange, PodLifecycleEvent};
pub use handle::{Pleg, PlegEvents, Unhealthy};
pub use options::PlegOptions;
pub use records::{Records, RunningCounts};
