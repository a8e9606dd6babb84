//! Between the versions of a resource: objects are stored in one of them.

mod autoscalers;
mod events;

use std::borrow::Cow;

use serde_json::Value;

use crate::crd::{CustomVersion, default_object};
use crate::defaults;
use crate::fields::prune;
use crate::resource::{Origin, Resource};

/// Brings an object that was sent in the version of `resource` into the stored form.
pub(crate) fn to_storage(resource: &Resource, mut object: Value) -> Value {
    match &resource.origin {
        Origin::Custom(version) if version.storage_version != resource.version => {
            object["apiVersion"] = format!("{}/{}", resource.group, version.storage_version).into();
            object
        }
        Origin::BuiltIn { .. } if resource.group == "events.k8s.io" => events::to_core(object),
        Origin::BuiltIn { .. } if is_old_autoscaler(resource) => {
            let mut stored = autoscalers::to_v2(object);
            // The newer form has defaults for what the older has no fields for.
            defaults::autoscaler(&mut stored);
            stored
        }
        Origin::Custom(_) | Origin::BuiltIn { .. } => object,
    }
}

/// A stored object in the version of `resource`; borrowed where both are the same.
///
/// Custom objects take the defaults of the definition as it is now, and lose what it no longer names.
pub(crate) fn from_storage<'a>(resource: &Resource, stored: &'a Value) -> Cow<'a, Value> {
    match &resource.origin {
        Origin::Custom(version) => from_custom_storage(resource, version, stored),
        Origin::BuiltIn { .. } if resource.group == "events.k8s.io" => {
            Cow::Owned(events::from_core(stored.clone()))
        }
        Origin::BuiltIn { .. } if is_old_autoscaler(resource) => {
            Cow::Owned(autoscalers::to_v1(stored.clone()))
        }
        Origin::BuiltIn { .. } => Cow::Borrowed(stored),
    }
}

/// Whether an object that was stored at `revision` is stored as `resource` shows it, but for its
/// `apiVersion`: then there is nothing to convert.
pub(crate) fn is_stored_form(resource: &Resource, revision: u64) -> bool {
    match &resource.origin {
        Origin::Custom(version) => {
            version.storage_version == resource.version && revision > resource.since
        }
        Origin::BuiltIn { .. } => resource.group != "events.k8s.io" && !is_old_autoscaler(resource),
    }
}

fn is_old_autoscaler(resource: &Resource) -> bool {
    resource.group == "autoscaling" && resource.version == "v1"
}

fn from_custom_storage<'a>(
    resource: &Resource,
    version: &CustomVersion,
    stored: &'a Value,
) -> Cow<'a, Value> {
    let api_version = resource.api_version();
    let mut object = stored.clone();
    object["apiVersion"] = api_version.into();
    default_object(&mut object, &version.schema);
    prune(&mut object, &version.schema);
    match object == *stored {
        true => Cow::Borrowed(stored),
        false => Cow::Owned(object),
    }
}
