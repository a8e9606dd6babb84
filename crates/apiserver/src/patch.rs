//! Patches: what PATCH makes of an object.

mod json;
mod merge;
mod strategic;

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::{Origin, Resource};

/// The kinds of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// `application/json-patch+json`, RFC 6902.
    Json,
    /// `application/merge-patch+json`, RFC 7396.
    Merge,
    /// `application/strategic-merge-patch+json`: a merge patch that knows which lists merge by key.
    Strategic,
}

impl PatchType {
    /// The kind of patch that `content_type` names; `None` for one that is none or not taken by `resource`.
    pub(crate) fn of(content_type: &str, resource: &Resource) -> Option<Self> {
        match content_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json"
                if matches!(resource.origin, Origin::BuiltIn { .. }) =>
            {
                Some(Self::Strategic)
            }
            _ => None,
        }
    }
}

/// Applies a patch to an object; `current` is the object in the version of `resource`.
///
/// # Errors
///
/// What a real server answers to a patch that is malformed or does not fit the object.
pub(crate) fn apply(
    kind: PatchType,
    resource: &Resource,
    current: &Value,
    patch: Value,
) -> Result<Value, ApiError> {
    match kind {
        PatchType::Json => json::apply(current, patch),
        PatchType::Merge => merge::apply(current, patch),
        PatchType::Strategic => strategic::apply(resource, current, patch),
    }
}
