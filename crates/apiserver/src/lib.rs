//! An embedded Kubernetes API server for development and tests.

mod error;
mod registry;
mod path;
mod quantity;
mod resource;
mod schema;

mod body;
mod protobuf;
mod representation;
mod selector;
mod syntax;

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

#[cfg(feature = "listener")]
pub mod serve;

pub use error::ApiError;
