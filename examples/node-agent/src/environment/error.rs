use crate::objects::LookupError;

/// Why the environment of a container cannot be made, or a value of the downward API cannot be told.
///
/// The container waits with the reason `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A config map or secret could not be had.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A config map or secret lacks the key that is asked for.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// The key that is not in it.
        key: String,
    },
    /// The value of a key is no text, which is all that an environment can hold.
    #[error("key {key} in Secret {namespace}/{name} is not valid UTF-8 and cannot be a variable")]
    NotText {
        /// The namespace.
        namespace: String,
        /// The name of the secret.
        name: String,
        /// The key.
        key: String,
    },
    /// The services of the cluster were never read.
    #[error("services have not yet been read at least once, cannot construct envvars")]
    NoServicesYet,
    /// A field of the pod that the downward API does not offer.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// A subscript of a field that has none, or whose key is malformed.
    #[error("invalid key subscript in fieldPath: {0}")]
    Subscript(String),
    /// A resource that the downward API does not offer.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// A resource of a container that the pod does not have.
    #[error("container {0} not found")]
    NoContainer(String),
    /// A resource is to be divided by something that is no quantity.
    #[error("invalid divisor {0}")]
    Divisor(String),
    /// A reference to a variable that is not there, where that is not let through.
    #[error("missing value for {0:?}")]
    Missing(String),
    /// Something that this agent does not do.
    #[error("{0} is not supported by this node agent")]
    Unsupported(&'static str),
}
