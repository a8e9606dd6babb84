//! Whether an object follows the rules of its kind.

pub(crate) mod names;

use serde_json::Value;

use crate::error::Cause;
use crate::resource::Resource;

/// What is wrong with an object that is about to be created.
pub(crate) fn create(_resource: &Resource, _object: &Value) -> Vec<Cause> {
    Vec::new()
}

/// What is wrong with a change from `old` to `new`.
pub(crate) fn update(
    _resource: &Resource,
    _new: &Value,
    _old: &Value,
    _subresource: Option<&str>,
) -> Vec<Cause> {
    Vec::new()
}
