//! An embedded Kubernetes API server for development and tests.

mod error;
mod registry;
mod path;
mod quantity;
mod resource;
mod schema;

mod body;
mod representation;
mod selector;
mod syntax;

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
