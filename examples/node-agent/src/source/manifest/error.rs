use std::fmt;

use crate::yaml::YamlError;

/// Why a manifest is no pod that the agent could run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not one YAML or JSON document.
    #[error("the manifest cannot be read")]
    Unreadable(#[from] YamlError),
    /// It is an object of another kind, or none.
    #[error("invalid pod: apiVersion {api_version:?}, kind {kind:?} where a v1 Pod is expected")]
    NotAPod {
        /// What it says its version is.
        api_version: String,
        /// What it says its kind is.
        kind: String,
    },
    /// It is not shaped like a pod.
    #[error("invalid pod")]
    NotOfItsType(#[source] serde_json::Error),
    /// It cannot be written as JSON, which its uid is made from.
    #[error("the uid of the pod cannot be made")]
    NotWritable(#[source] serde_json::Error),
    /// It has no name.
    #[error("invalid pod: name is needed for the pod")]
    Nameless,
    /// It breaks rules that pods follow.
    #[error("invalid pod: {}", list(.0))]
    Invalid(Vec<FieldError>),
    /// It refers to objects that only an API server has.
    #[error("static pods may not reference {0}")]
    References(&'static str),
}

/// What is wrong with one field. Displays as an API server would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where the field is, such as `spec.containers[0].name`.
    pub field: String,
    /// What is wrong with it, such as `Required value`.
    pub problem: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

fn list(errors: &[FieldError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match errors.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", errors.join(", ")),
    }
}
