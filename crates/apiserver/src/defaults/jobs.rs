//! Defaults of jobs and cron jobs.

use serde_json::Value;

use super::fill::{fill, is_empty};
use super::pods;

pub(super) fn job(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() && is_empty(&object["metadata"]["labels"]) {
        object["metadata"]["labels"] = labels;
    }
    let spec = &mut object["spec"];
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let is_per_index = !spec["backoffLimitPerIndex"].is_null();
    fill(
        spec,
        "backoffLimit",
        if is_per_index { i32::MAX } else { 6 },
    );
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(spec, "manualSelector", false);
    let has_policy = !spec["podFailurePolicy"].is_null();
    fill(
        spec,
        "podReplacementPolicy",
        if has_policy {
            "Failed"
        } else {
            "TerminatingOrFailed"
        },
    );
    pods::template(&mut spec["template"]);
}

pub(super) fn cron_job(object: &mut Value) {
    let spec = &mut object["spec"];
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    pods::template(&mut spec["jobTemplate"]["spec"]["template"]);
}
