//! The environment of containers, and what is expanded from it.

mod downward;
mod error;
mod expansion;
mod make;
mod service;

pub use downward::DownwardApi;
pub use error::EnvironmentError;
pub use expansion::{expand, expand_all, expand_strictly};
pub use make::{Environment, EnvironmentMaker, MadeEnvironment};
pub use service::service_variables;
