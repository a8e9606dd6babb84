//! The kinds that keep pods running.

use serde_json::{Value, json};

use super::{immutable, non_negative, pods, selectors, text};
use crate::error::Cause;
use crate::path::Path;

pub(super) fn deployment(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    counts(
        spec,
        &["replicas", "minReadySeconds", "revisionHistoryLimit"],
        causes,
    );
    selectors::selects_template(new, old, "deployment", causes);
    template(spec, "Deployment", causes);
    let strategy = &spec["strategy"];
    if strategy["type"] == "Recreate" && !strategy["rollingUpdate"].is_null() {
        causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ));
    }
    let rolling = &strategy["rollingUpdate"];
    let is_none = |value: &Value| *value == 0 || *value == "0%";
    if is_none(&rolling["maxUnavailable"]) && is_none(&rolling["maxSurge"]) {
        causes.push(Cause::invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            &rolling["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    let deadline = spec["progressDeadlineSeconds"].as_i64();
    if deadline.is_some_and(|deadline| deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0)) {
        causes.push(Cause::invalid(
            "spec.progressDeadlineSeconds",
            &spec["progressDeadlineSeconds"],
            "must be greater than minReadySeconds",
        ));
    }
}

pub(super) fn replica_set(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    counts(spec, &["replicas", "minReadySeconds"], causes);
    selectors::selects_template(new, old, "deployment", causes);
    template(spec, "ReplicaSet", causes);
}

pub(super) fn daemon_set(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    counts(spec, &["minReadySeconds", "revisionHistoryLimit"], causes);
    selectors::selects_template(new, old, "daemonset", causes);
    template(spec, "DaemonSet", causes);
}

pub(super) fn stateful_set(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    const MUTABLE: [&str; 9] = [
        "minReadySeconds",
        "ordinals",
        "persistentVolumeClaimRetentionPolicy",
        "replicas",
        "revisionHistoryLimit",
        "template",
        "updateStrategy",
        // Compared by themselves.
        "selector",
        "podManagementPolicy",
    ];
    let spec = &new["spec"];
    counts(
        spec,
        &["replicas", "minReadySeconds", "revisionHistoryLimit"],
        causes,
    );
    selectors::selects_template(new, None, "statefulset", causes);
    template(spec, "StatefulSet", causes);
    let Some(old) = old else {
        return;
    };
    let fixed = |spec: &Value| {
        let fields = spec.as_object().into_iter().flatten();
        fields
            .filter(|(name, _)| !MUTABLE[..7].contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    if fixed(spec) != fixed(&old["spec"]) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

pub(super) fn replication_controller(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    counts(spec, &["replicas", "minReadySeconds"], causes);
    let selector = spec["selector"].as_object();
    if selector.is_none_or(serde_json::Map::is_empty) {
        causes.push(Cause::required("spec.selector", ""));
    }
    if !spec["template"].is_object() {
        causes.push(Cause::required("spec.template", ""));
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let selected = |(key, value): (&String, &Value)| labels[key] == *value;
    if !selector.into_iter().flatten().all(selected) {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    template(spec, "ReplicationController", causes);
}

/// A template makes pods that are restarted, and that run until they are stopped.
fn template(spec: &Value, kind: &str, causes: &mut Vec<Cause>) {
    let spec_path = Path::Root.field("spec");
    let path = spec_path.field("template");
    pods::template(&spec["template"], path, causes);
    let pod = &spec["template"]["spec"];
    let pod_path = path.field("spec");
    match text(&pod["restartPolicy"]) {
        "" | "Always" => {}
        other => causes.push(Cause::not_supported(
            pod_path.field("restartPolicy"),
            &other.into(),
            &["Always"],
        )),
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        causes.push(Cause::forbidden(
            pod_path.field("activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        ));
    }
}

fn counts(spec: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    for field in fields {
        non_negative(&spec[field], format!("spec.{field}"), causes);
    }
}

/// The counts of a status fit together.
pub(super) fn replica_set_status(status: &Value, causes: &mut Vec<Cause>) {
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    for field in [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ] {
        non_negative(&status[field], format!("status.{field}"), causes);
    }
    for (smaller, larger, why) in [
        (
            "fullyLabeledReplicas",
            "replicas",
            "cannot be greater than status.replicas",
        ),
        (
            "readyReplicas",
            "replicas",
            "cannot be greater than status.replicas",
        ),
        (
            "availableReplicas",
            "replicas",
            "cannot be greater than status.replicas",
        ),
        (
            "availableReplicas",
            "readyReplicas",
            "cannot be greater than readyReplicas",
        ),
    ] {
        if count(smaller) > count(larger) {
            causes.push(Cause::invalid(
                format!("status.{smaller}"),
                &json!(count(smaller)),
                why,
            ));
        }
    }
}

pub(super) fn disruption_budget(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        causes.push(Cause::invalid(
            "spec",
            spec,
            "minAvailable and maxUnavailable cannot be both set",
        ));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        non_negative(&spec[field], format!("spec.{field}"), causes);
    }
}

pub(super) fn autoscaler(new: &Value, causes: &mut Vec<Cause>) {
    let spec = &new["spec"];
    let max = spec["maxReplicas"].as_i64().unwrap_or(0);
    let min = spec["minReplicas"].as_i64();
    if min.is_some_and(|min| min < 1) {
        causes.push(Cause::invalid(
            "spec.minReplicas",
            &spec["minReplicas"],
            "must be greater than or equal to 1",
        ));
    }
    if max < 1 {
        causes.push(Cause::invalid(
            "spec.maxReplicas",
            &json!(max),
            "must be greater than 0",
        ));
    }
    if min.is_some_and(|min| max < min) {
        causes.push(Cause::invalid(
            "spec.maxReplicas",
            &json!(max),
            "must be greater than or equal to `minReplicas`",
        ));
    }
}

/// The parts of a job that cannot change.
pub(super) fn fixed(new: &Value, old: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    for field in fields {
        immutable(new, old, field, causes);
    }
}
