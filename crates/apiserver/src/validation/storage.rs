//! Volumes, claims and classes of storage.

use kubewright_quantity::Quantity;
use serde_json::{Map, Value};

use super::{immutable, items, text};
use crate::error::Cause;

pub(super) fn claim(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if items(&spec["accessModes"]).is_empty() {
        causes.push(Cause::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    let storage = &spec["resources"]["requests"]["storage"];
    if storage.is_null() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    } else if Quantity::parse(text(storage)).is_ok_and(|size| size.is_zero() || size.is_negative())
    {
        causes.push(Cause::invalid(
            "spec.resources[storage]",
            storage,
            "must be greater than zero",
        ));
    }
    let Some(old) = old else {
        return;
    };
    // The size may grow, and the binding controller names the volume.
    let fixed = |object: &Value| {
        let mut spec = object["spec"].as_object().cloned().unwrap_or_default();
        for mutable in [
            "resources",
            "volumeName",
            "volumeAttributesClassName",
            "storageClassName",
        ] {
            spec.remove(mutable);
        }
        spec
    };
    let renamed = !old["spec"]["volumeName"].is_null()
        && new["spec"]["volumeName"] != old["spec"]["volumeName"];
    if fixed(new) != fixed(old) || renamed {
        causes.push(Cause::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let size = |object: &Value| {
        Quantity::parse(text(&object["spec"]["resources"]["requests"]["storage"])).ok()
    };
    if size(new) < size(old) {
        causes.push(Cause::forbidden(
            "spec.resources.requests.storage",
            "field can not be less than previous value",
        ));
    }
}

pub(super) fn volume(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if items(&spec["accessModes"]).is_empty() {
        causes.push(Cause::required("spec.accessModes", ""));
    }
    if spec["capacity"].as_object().is_none_or(Map::is_empty) {
        causes.push(Cause::required("spec.capacity", ""));
    } else if spec["capacity"]["storage"].is_null() {
        causes.push(Cause::not_supported(
            "spec.capacity",
            &spec["capacity"],
            &["storage"],
        ));
    }
}

pub(super) fn class(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old else {
        return;
    };
    for field in ["provisioner", "reclaimPolicy", "volumeBindingMode"] {
        immutable(new, old, field, causes);
    }
    if new["parameters"] != old["parameters"] {
        causes.push(Cause::forbidden(
            "parameters",
            "updates to parameters are forbidden.",
        ));
    }
}
