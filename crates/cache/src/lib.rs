//! A mirror of a collection of Kubernetes objects: listed, watched, stored and indexed.
//!
//! ```text
//!  ListerWatcher ──▶ Reflector ──deltas──▶ DeltaFifo ──batches──▶ StoreWriter ──▶ events
//!  (KubeLister-                                                       │
//!   Watcher)                                 Store, Snapshot ◀────────┘  read by anybody
//! ```
//!
//! - A [`ListerWatcher`] is where a collection comes from; [`KubeListerWatcher`] asks an API server,
//!   and [`Transformed`] changes objects before they go on.
//! - A [`Reflector`] keeps asking it, and survives whatever it answers.
//! - A [`DeltaFifo`] is the ordered, bounded log of what the source said.
//! - A [`StoreWriter`] turns that into the next state of a [`Store`] and into [`Event`]s.
//! - Anybody reads the store, by [`Snapshot`]; nobody waits for anybody.
//!
//! # Objects stay encoded
//!
//! An [`Object`] is a small part of its metadata, parsed when it arrived ([`Metadata`]), beside the
//! JSON the server sent, without `managedFields`. [`Object::get`] decodes it when somebody asks.
//! A typed Pod takes six to nine times the memory of its JSON and some 50 µs to make, so a program
//! that works by key, label and owner, as most controllers mostly do, saves nearly all of both.
//!
//! # One bad object spoils nothing
//!
//! What cannot be read is told apart by how much of it can:
//!
//! | what | what happens |
//! |---|---|
//! | the body is not of the type | the object is in the store; [`Object::get`] fails for it |
//! | the metadata is not what it should be | [`Undecodable`]; the object's last readable state stays, marked ([`Snapshot::undecodable`]) until a readable one arrives |
//! | it is no object at all | [`Undecodable`] without a key; it is passed over |
//!
//! In every case it is counted ([`Store::failures`]) and told ([`Observer`]), the list or watch goes
//! on, and the store's version moves on.
//!
//! # Time
//!
//! All waits are tokio's, so everything runs under paused time; random choices are seeded
//! ([`ReflectorConfig::seed`]).
//!
//! # Example
//!
//! The source here is the one in memory that the `testing` feature brings.
//!
//! ```
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kubewright_cache::testing::FakeSource;
//! use kubewright_cache::{DeltaFifo, Event, FifoConfig, Reflector, ReflectorConfig, Store, StoreConfig};
//! use serde_json::json;
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = FakeSource::new();
//! source.apply(json!({"metadata": {"namespace": "default", "name": "a"}, "data": {"k": "v"}}));
//!
//! let (mut writer, store) = Store::<ConfigMap>::new(StoreConfig::default());
//! let fifo = DeltaFifo::new(FifoConfig::default());
//! let reflector = Reflector::new(source, store.clone(), fifo.clone(), ReflectorConfig::default())?;
//!
//! let token = CancellationToken::new();
//! let consume = async {
//!     while let Some(mut batch) = fifo.pop_batch().await {
//!         for event in writer.apply_batch(&mut batch) {
//!             if let Event::Added { object, .. } = event {
//!                 assert_eq!(object.key().to_string(), "default/a");
//!             }
//!         }
//!         token.cancel();
//!     }
//! };
//! tokio::join!(reflector.run(token.clone()), consume);
//!
//! let typed = store.get("default/a").expect("it was listed").get()?;
//! assert_eq!(typed.data.as_ref().and_then(|data| data.get("k")).map(String::as_str), Some("v"));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `testing`: [`testing::FakeSource`], a source in memory that can be told to misbehave.
//! - `kube-runtime`: [`WatcherFeed`], which takes the events of kube-runtime's `watcher` instead of
//!   a reflector's.
#![cfg_attr(
    not(feature = "testing"),
    doc = "\n[`testing::FakeSource`]: <https://docs.rs/kubewright-cache>"
)]
#![cfg_attr(
    not(feature = "kube-runtime"),
    doc = "\n[`WatcherFeed`]: <https://docs.rs/kubewright-cache>"
)]

// What an object is.
mod key;
mod metadata;
mod object;
mod uid;
mod version;
// How it is read.
mod decode;
pub mod scan;
// Where it comes from.
mod kube;
mod source;
// What becomes of it.
mod delta;
mod event;
mod fifo;
mod reflector;
mod store;
mod tree;
// Who is told, and who pretends.
mod observer;
#[cfg(feature = "testing")]
pub mod testing;

pub use decode::DecodeError;
pub use delta::Delta;
pub use event::{Certainty, Event, Initial};
pub use fifo::{Batch, Closed, Compression, DeltaFifo, FifoConfig};
pub use key::{InvalidKey, ObjectKey};
pub use kube::{KubeListerWatcher, KubeWatch};
pub use metadata::{Labels, Metadata, OwnerReference};
pub use object::{EncodeError, EncodedObject, Object};
pub use observer::{Logged, Observer, Operation};
#[cfg(feature = "kube-runtime")]
pub use reflector::WatcherFeed;
pub use reflector::{
    BackoffConfig, InitialList, InvalidReflectorConfig, Reflector, ReflectorConfig,
};
pub use scan::{ScanError, Scanned};
pub use source::{
    EventKind, InitialEvents, ListOptions, ListerWatcher, Page, PageSink, SourceError, Transformed,
    TransformedWatch, Undecodable, VersionMatch, WatchEvent, WatchOptions,
};
pub use store::{
    Failures, Index, IndexFailure, Retention, SameVersion, Snapshot, Store, StoreConfig,
    StoreError, StoreWriter, VersionChanges,
};
pub use uid::Uid;
pub use version::ResourceVersion;
