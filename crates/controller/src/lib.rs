//! Reconcile loops over shared informers and a work queue.
//!
//! ```text
//!  SharedInformer ──events──▶ Source: predicate, mapper ──keys──▶ WorkQueue
//!                                                                    │ one at a time per key
//!        Store ◀──reads── Reconciler ◀──Request── worker ◀───────────┘
//! ```
//!
//! Start with [`Controller`] and [`Reconciler`].

mod action;
mod controller;
mod reconciler;
mod request;
mod terminal;
mod triggers;

mod annotations;
mod enqueue;
mod mapping;
mod owner;
mod predicate;
mod source;

mod deferrals;
mod expectations;
mod own_writes;

mod recorder;

mod config;
mod error;
mod metrics;

pub use action::Action;
pub use config::ControllerConfig;
pub use controller::Controller;
pub use enqueue::{Enqueue, RequestQueue};
pub use error::Error;
pub use expectations::{Expectations, Pending, UidTrackingExpectations};
pub use mapping::related;
pub use metrics::{ControllerMetrics, ReconcileResult};
pub use own_writes::{Behind, OwnWrites, TrackedStore};
pub use owner::{Owner, OwnerScope};
pub use predicate::Predicate;
pub use reconciler::Reconciler;
pub use recorder::{
    EventPatch, EventRecorder, EventSink, EventType, EventWriter, RecorderConfig, reference,
};
pub use request::Request;
pub use source::Source;
pub use terminal::TerminalError;
pub use triggers::{Change, Reason, Reasons, Triggers};
