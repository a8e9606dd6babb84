//! Reconcile loops over shared informers and a work queue.
//!
//! ```text
//!  SharedInformer ──events──▶ Source: predicate, mapper ──keys──▶ WorkQueue
//!                                                                    │ one at a time per key
//!        Store ◀──reads── Reconciler ◀──Request── worker ◀───────────┘
//! ```
//!
//! A [`Controller`] listens to informers, maps what happens to keys, and calls a [`Reconciler`] for
//! each of them, never twice at once.
//! What the reconciler does with the world is its own; this crate brings what makes that safe:
//!
//! - [`Action`], [`TerminalError`] and the limiters of the queue say what follows from a reconcile.
//! - [`Predicate`], [`Owner`] and [`related`] say which events concern which keys; a mapper may as
//!   well be any closure that is given the whole event and an [`Enqueue`].
//! - [`Expectations`] and [`UidTrackingExpectations`] keep a controller from acting again before it
//!   has seen what it did.
//! - [`OwnWrites`] puts a reconcile off until the caches show the controller's own writes.
//! - [`EventRecorder`] tells people what happened, without ever waiting.
//! - [`ControllerMetrics`], and the span `reconcile{controller, object.ref, object.reason, attempt}`,
//!   tell machines.
//!
//! # What it does that others do not
//!
//! | | kube-runtime 5.0 | controller-runtime | here |
//! |---|---|---|---|
//! | backoff | one policy function, no memory | per key, 5 ms to 1000 s | the same |
//! | a second key source not in sync | reconciles begin | they wait | they wait |
//! | a relist of several pages | stale or lost reconciles | fresh | fresh |
//! | a deletion that no watch told of | nobody hears of it | handlers do | handlers do, with the last state |
//! | a panic in a reconcile | is not caught | an error of that key | an error of that key |
//! | reading own writes | – | a client that blocks | reconciles are put off; no worker waits |
//! | why a reconcile runs | the first trigger | – | all triggers |
//!
//! The upstream defects behind some of these lines are tests here, under their names.

mod controller;

mod reconciler;
mod request;
mod triggers;

mod action;
mod terminal;

mod annotations;
mod predicate;
mod source;

mod mapping;
mod owner;

mod enqueue;

mod expectations;
mod own_writes;

mod deferrals;

mod recorder;

mod config;
mod metrics;

mod error;

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
