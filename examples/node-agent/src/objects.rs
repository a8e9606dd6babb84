//! The objects that pods refer to and their containers are made from.
//!
//! The traits are what engines ask, and are synchronous: a shell first brings all that
//! [`References`] names, then lets the engines run over what it has. [`ObjectStore`] is that shell.

mod cache;
mod fetch;
mod pull_secrets;
mod references;
mod snapshot;
mod store;
mod tokens;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

pub use pull_secrets::pull_secrets;
pub use references::{References, TokenReference};
pub use snapshot::Snapshot;
pub use store::{ObjectStore, ObjectStoreDriver, ObjectStoreOptions};

/// Why an object could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// There is none of this name. What refers to it as optional goes on without it.
    #[error("{kind} \"{name}\" not found")]
    NotFound {
        /// The kind, as messages name it: `configmap` or `secret`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Nobody knows whether there is one, for now.
    #[error("{kind} \"{name}\": {reason}")]
    Unavailable {
        /// The kind, as messages name it.
        kind: &'static str,
        /// The name.
        name: String,
        /// What is in the way.
        reason: String,
    },
}

/// What was found; `None` if it was not and is optional.
pub(crate) fn unless_optional<T>(
    found: Result<T, LookupError>,
    optional: Option<bool>,
) -> Result<Option<T>, LookupError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(LookupError::NotFound { .. }) if optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where config maps are looked up.
pub trait ConfigMaps {
    /// The config map of this namespace and name.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be known.
    fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, LookupError>;
}

/// Where secrets are looked up.
pub trait Secrets {
    /// The secret of this namespace and name.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be known.
    fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, LookupError>;
}

/// Where services are looked up.
pub trait Services {
    /// All services of the cluster; `None` as long as they were never read.
    fn services(&self) -> Option<Vec<Arc<Service>>>;
}

/// Where tokens of service accounts come from.
pub trait Tokens {
    /// A token that is still good for a while.
    ///
    /// # Errors
    ///
    /// If none could be had.
    fn token(&self, reference: &TokenReference) -> Result<String, LookupError>;
}
