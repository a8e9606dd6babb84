//! Shared informers: one watch, one store, any number of isolated handlers.
//!
//! ```text
//!  Reflector ──deltas──▶ DeltaFifo ──batches──▶ Store ──events──▶ mailbox ──▶ handler
//!                                                  │         ├──▶ mailbox ──▶ handler
//!                                    Lister ◀──────┘         └──▶ mailbox ──▶ handler
//! ```
//!
//! # The parts
//!
//! - A [`SharedInformer`] mirrors one collection.
//!   One future drives it; handles are cheap clones.
//! - An [`EventHandler`] is told of changes: a closure, or a type with an `async fn`.
//!   Handlers are added at any time, and their [`Registration`] says when they are in sync and
//!   takes them out again.
//! - A [`Mailbox`] holds what a handler has not got to yet, and bounds it.
//! - An [`InformerFactory`] has one informer per type and [`Scope`], starts informers when they are
//!   asked for and stops them when nobody uses them any more.
//! - A [`Lister`] reads an informer's store by selector, namespace and name without decoding.
//!
//! # Invariants
//!
//! - The store is written before any handler is told, by the one task that also posts the events:
//!   between two batches, what each handler was posted and what the store holds agree.
//!   Late handlers and resyncs are served only then, so nobody misses an event or sees one twice.
//! - Posting to a mailbox never waits.
//!   Only a full [`Mailbox::Lossless`] makes the informer wait, between two batches.
//! - No lock is held while code of the user runs.
//! - Nothing here reads the clock but through tokio, and every task belongs to the `JoinSet` of a
//!   `run` future.

mod config;
mod driver;
mod error;
mod factory;
mod handler;
mod informer;
mod lister;
mod mailbox;
mod metrics;
mod progress;
mod registration;
mod resync;
mod shared;
mod status;
mod subscriber;

pub use config::{HandlerConfig, InformerConfig};
pub use error::{Error, Unsynced};
pub use factory::{InformerFactory, Scope};
pub use handler::{AsyncHandler, EventHandler, async_handler};
pub use informer::SharedInformer;
pub use lister::{Lister, NamespaceLister, NotFound};
pub use mailbox::Mailbox;
pub use metrics::InformerMetrics;
pub use registration::Registration;
pub use status::{HandlerStatus, InformerStatus, Phase, SourceFailure};

// What handlers and listers speak of.
pub use kubewright_cache::{Certainty, Event, Initial, Object, ObjectKey};
