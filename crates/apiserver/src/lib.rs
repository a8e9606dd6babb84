//! An embedded Kubernetes API server for development and tests.

mod api_server;
mod config;
mod handler;
mod request;
mod response;

mod core;
mod ids;
mod store;

mod error;
mod registry;
mod path;
mod quantity;
mod resource;
mod schema;

mod access;
mod body;
mod protobuf;
mod representation;
mod selector;
mod syntax;

mod jsonpath;
mod partial;
mod table;

mod discovery;
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
pub use config::{Config, ConfigError, StreamingLists};
pub use error::{ApiError, ServiceError};
pub use response::ResponseBody;
