//! Shared informers: one watch, one store, any number of isolated handlers.
//!
//! ```text
//!  Reflector ──deltas──▶ DeltaFifo ──batches──▶ Store ──events──▶ mailbox ──▶ handler
//!                                                  │         ├──▶ mailbox ──▶ handler
//!                                    Lister ◀──────┘         └──▶ mailbox ──▶ handler
//! ```

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
pub use factory::{Configure, InformerFactory, Scope};
pub use handler::{AsyncHandler, EventHandler, async_handler};
pub use informer::SharedInformer;
pub use lister::{Lister, NamespaceLister, NotFound};
pub use mailbox::Mailbox;
pub use metrics::InformerMetrics;
pub use registration::Registration;
pub use status::{HandlerStatus, InformerStatus, Phase, SourceFailure};

// What handlers and listers speak of.
pub use kubewright_cache::{Certainty, Event, Initial, Object, ObjectKey};
