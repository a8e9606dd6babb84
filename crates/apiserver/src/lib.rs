//! An embedded Kubernetes API server for development and tests.
//!
//! One [tower] service that answers what a Kubernetes 1.36 API server answers, with no other
//! process, container or network behind it. In process it is a client's transport; over HTTPS on
//! loopback ([`serve`]) it is a server that `kubectl` and programs in any language speak to.
//!
//! # Example
//!
//! ```
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube_client::{Api, Client};
//! use kubewright_apiserver::{ApiServer, Config};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::new(Config::default())?;
//! let client = Client::new(server.service(), "default");
//!
//! let config_maps: Api<ConfigMap> = Api::default_namespaced(client);
//! let mut wanted = ConfigMap::default();
//! wanted.metadata.generate_name = Some("settings-".to_owned());
//! let created = config_maps.create(&Default::default(), &wanted).await?;
//! assert_eq!(
//!     created.metadata.resource_version,
//!     Some(server.resource_version().to_string()),
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # What is in it
//!
//! - The resources of Kubernetes 1.36 and those that `CustomResourceDefinition`s add, with the
//!   defaults, the validation and the subresources that controllers and `kubectl` rely on.
//! - Lists that can be read in pages of one moment; watches from any remembered version, with
//!   bookmarks, selectors and streaming lists; JSON, merge and strategic merge patches; dry runs;
//!   finalizers, grace periods and propagation policies; Tables; discovery; OpenAPI.
//! - [`controllers`]: what a cluster does beside its API. Garbage is collected, namespaces are
//!   emptied, pods run by a script. They act only while they are driven, by hand if need be.
//! - [`faults`]: conflicts, lost answers, expired and dropped watches, latency, by rule; and a
//!   record of the calls that clients made.
//!
//! # Guarantees
//!
//! - Every committed change takes the next number of one counter, whatever its kind. A write that
//!   changes nothing takes none and is seen by no watch.
//! - A watch tells every change after the version that it began with, once, in order, or it ends.
//!   A slow watcher costs the server one batch of references, and delays nobody.
//! - The same [`Config::seed`], the same clock and the same requests in the same order give the
//!   same answers. Under paused tokio time nothing waits for a real clock.
//! - What is not supported is refused with a `Status` that says so. Nothing silently succeeds.
//!
//! # What it is not
//!
//! It keeps everything in memory, and in process it asks nobody who they are: it is for development
//! and tests.
//! Server-side apply, admission webhooks and policies, CEL rules, and conversion webhooks are not
//! supported; `managedFields` are not tracked. Pods run by script: no process is behind them. What
//! there is to read or to attach to is on nodes that a kubelet runs, which a `serve::NodeProxy`
//! asks.
//!
//! # The way of a request
//!
//! ```text
//!  request ─▶ path, query, body ─▶ handler ─▶ fields, defaults, patch, strategy, validation
//!                                                │
//!  answer ◀── object, list, table, events ◀── store: snapshots, log, cursors ◀── commit
//! ```
//!
//! Everything is synchronous but the reading of bodies and the waiting of watches. Writes are
//! computed from a state that is read without a lock, and committed if it still holds.

mod api_server;
mod config;
mod handler;
mod request;
mod response;

mod core;
mod ids;
mod store;

mod error;
mod path;
mod registry;
mod resource;
mod schema;

mod access;
mod body;
mod container;
mod protobuf;
#[cfg(feature = "listener")]
mod proxy;
mod representation;
mod selector;
mod syntax;
mod tokens;

mod jsonpath;
mod partial;
mod table;

mod discovery;
mod metrics;
mod openapi;
mod pages;
mod version;

mod conversion;
mod crd;
mod defaults;
mod fields;
mod patch;
mod strategy;
mod validation;

pub mod controllers;
pub mod faults;
#[cfg(feature = "listener")]
pub mod serve;

pub use api_server::{ApiServer, ApiService, ResponseFuture};
pub use config::{Config, ConfigError, StreamingLists, TokenKey};
pub use error::{ApiError, ServiceError};
pub use response::ResponseBody;
