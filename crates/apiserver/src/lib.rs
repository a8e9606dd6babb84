//! An embedded Kubernetes API server for development and tests.

mod error;
mod registry;
mod resource;

pub use error::ApiError;
