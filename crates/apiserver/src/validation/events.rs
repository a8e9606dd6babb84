//! Events and leases.

use serde_json::Value;

use super::text;
use crate::error::Cause;

/// Checks an event in the form it was sent in, or in the stored form.
pub(super) fn event(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let is_core = new["apiVersion"] == "v1";
    let involved = match is_core {
        true => "involvedObject",
        false => "regarding",
    };
    let namespace = text(&new["metadata"]["namespace"]);
    let said = text(&new[involved]["namespace"]);
    // What has no namespace of its own is told of in the default namespace.
    let fits = match said {
        "" => matches!(namespace, "" | "default" | "kube-system"),
        said => said == namespace,
    };
    if !fits {
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &said.into(),
            "does not match event.namespace",
        ));
    }
    if is_core || old.is_some() {
        return;
    }
    if new["eventTime"].is_null() {
        causes.push(Cause::required("eventTime", ""));
    }
    let controller = text(&new["reportingController"]);
    let instance = text(&new["reportingInstance"]);
    if !new["eventTime"].is_null() {
        for (field, value) in [
            ("reportingController", controller),
            ("reportingInstance", instance),
            ("action", text(&new["action"])),
            ("reason", text(&new["reason"])),
        ] {
            if value.is_empty() {
                causes.push(Cause::required(field, ""));
            }
        }
    }
    let kind = text(&new["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(Cause::invalid(
            "type",
            &kind.into(),
            format!("has invalid value: {kind}"),
        ));
    }
}

pub(super) fn lease(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds <= 0)
    {
        causes.push(Cause::invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        ));
    }
    super::non_negative(&spec["leaseTransitions"], "spec.leaseTransitions", causes);
    let strategy = text(&spec["strategy"]);
    if strategy.is_empty() && !text(&spec["preferredHolder"]).is_empty() {
        causes.push(Cause::forbidden(
            "spec.preferredHolder",
            "must not be specified when strategy is nil",
        ));
    }
}
