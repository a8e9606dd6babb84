//! Between the versions of a resource: objects are stored in one of them.

use std::borrow::Cow;

use serde_json::Value;

use crate::resource::Resource;

/// Brings an object that was sent in the version of `resource` into the stored form.
pub(crate) fn to_storage(_resource: &Resource, object: Value) -> Value {
    object
}

/// A stored object in the version of `resource`; borrowed where both are the same.
pub(crate) fn from_storage<'a>(_resource: &Resource, stored: &'a Value) -> Cow<'a, Value> {
    Cow::Borrowed(stored)
}
