use std::io;
use std::path::PathBuf;

use crate::yaml::YamlError;

/// Why there is no configuration to work by.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to load kubelet config file {path:?}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no document.
    #[error("the kubelet config file cannot be read")]
    Unreadable(#[from] YamlError),
    /// The document is something else.
    #[error(
        "no kind {kind:?} is registered for version {api_version:?}: a KubeletConfiguration of \
         kubelet.config.k8s.io/v1beta1 is expected"
    )]
    WrongKind {
        /// What it says its version is.
        api_version: String,
        /// What it says its kind is.
        kind: String,
    },
    /// A field is not what it should be.
    #[error("the kubelet config file is not valid")]
    NotOfItsType(#[source] serde_json::Error),
    /// There are fields that nobody knows.
    #[error("strict decoding error: {}", named("unknown field", .0))]
    UnknownFields(Vec<String>),
    /// There are fields that kubelet has and this agent has not.
    #[error("not supported by this agent: {}", named("field", .0))]
    UnsupportedFields(Vec<String>),
    /// Values contradict the rules or each other.
    #[error("failed to validate kubelet configuration, error: {}", list(.0))]
    Invalid(Vec<String>),
    /// The host's name is not known, and no other was given.
    #[error("the host has no name: give --hostname-override")]
    Nameless(#[source] io::Error),
}

fn named(what: &str, fields: &[String]) -> String {
    let fields = fields.iter().map(|field| format!("{what} {field:?}"));
    fields.collect::<Vec<_>>().join(", ")
}

fn list(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        _ => format!("[{}]", errors.join(", ")),
    }
}
