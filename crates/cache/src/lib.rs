//! A mirror of a collection of Kubernetes objects: listed, watched, stored and indexed.
//!
//! ```text
//!  ListerWatcher ──▶ Reflector ──deltas──▶ DeltaFifo ──batches──▶ StoreWriter ──▶ events
//!                                                                     │
//!                                                  Store, Snapshot ◀──┘  read by anybody
//! ```

mod decode;
mod delta;
mod event;
mod fifo;
mod key;
mod kube;
mod metadata;
mod object;
mod observer;
mod reflector;
pub mod scan;
mod source;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod tree;
mod uid;
mod version;

pub use decode::DecodeError;
pub use delta::Delta;
pub use event::{Certainty, Event, Initial};
pub use fifo::{Batch, Closed, Compression, DeltaFifo, FifoConfig};
pub use key::{InvalidKey, ObjectKey};
pub use kube::{KubeListerWatcher, KubeWatch};
pub use metadata::{Labels, Metadata, OwnerReference};
pub use object::{EncodeError, EncodedObject, Object};
pub use observer::{Logged, Observer, Operation};
pub use reflector::{
    BackoffConfig, InitialList, InvalidReflectorConfig, Reflector, ReflectorConfig,
};
pub use scan::{ScanError, Scanned};
pub use source::{
    EventKind, InitialEvents, ListOptions, ListerWatcher, Page, PageSink, SourceError, Undecodable,
    VersionMatch, WatchEvent, WatchOptions,
};
pub use store::{
    Failures, Index, IndexFailure, Retention, SameVersion, Snapshot, Store, StoreConfig,
    StoreError, StoreWriter, VersionChanges,
};
pub use uid::Uid;
pub use version::ResourceVersion;
